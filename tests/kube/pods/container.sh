#!/bin/sh
# Makes a container of this process and becomes its program. It is PID 1 of a process namespace and alone in
# a mount namespace, both made by whoever started it (network.rs, container.rs).
#   container.sh ROOT USER|- READ_ONLY|- WORKDIR SOURCE:TARGET:ro|rw… -- PROGRAM ARGUMENT…
set -eu
root=$1 user=$2 read_only=$3 workdir=$4
shift 4
mount -t tmpfs -o mode=755,size=4m container "$root"
while [ "$1" != -- ]; do
  source=${1%%:*} rest=${1#*:}
  target=$root${rest%:*} mode=${rest##*:}
  if [ -L "$source" ]; then
    cp -P "$source" "$target"
  else
    if [ -d "$source" ]; then
      mkdir -p "$target"
    else
      mkdir -p "${target%/*}"
      [ -e "$target" ] || : > "$target"
    fi
    mount --rbind "$source" "$target"
    [ "$mode" = rw ] || mount -o remount,bind,ro "$target"
  fi
  shift
done
shift
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
[ "$read_only" = - ] || mount -o remount,ro "$root"
# Leaving root drops every capability; nothing can give one back.
if [ "$user" = - ]; then
  exec unshare --root="$root" --wd="$workdir" -- "$@"
fi
exec setpriv --no-new-privs unshare --root="$root" --wd="$workdir" --setgid="$user" --setuid="$user" -- "$@"
