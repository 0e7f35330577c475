#!/usr/bin/env python3
"""Makes an OCI image of static binaries, without an engine.

  build-oci.py --version 0.1.0 --binary amd64=FILE [--binary arm64=FILE] --out mcp-whittle.tar

The archive is an OCI layout: `skopeo copy oci-archive:mcp-whittle.tar docker://…`, `podman load`, `ctr images import`.
The same input gives the same bytes. Needs Python 3.11 and nothing else.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import struct
import sys
import tarfile

MACHINES = {"amd64": 62, "arm64": 183}
PT_INTERP = 3


def fail(problem, hint):
    sys.exit(f"build-oci: {problem}\nhint: {hint}")


def check(binary, architecture, path):
    """The image has nothing but the binary: it must need no loader, and be for that machine."""
    if binary[:6] != b"\x7fELF\x02\x01":
        fail(f"{path} is no 64-bit little-endian ELF file", "give the binary that cargo built")
    machine = struct.unpack_from("<H", binary, 18)[0]
    if machine != MACHINES[architecture]:
        fail(f"{path} is for another machine than {architecture}", "check --binary")
    offset, size, count = struct.unpack_from("<Q", binary, 32)[0], *struct.unpack_from("<HH", binary, 54)
    for index in range(count):
        if struct.unpack_from("<I", binary, offset + index * size)[0] == PT_INTERP:
            fail(f"{path} needs a dynamic loader", "build for a target such as x86_64-unknown-linux-musl")


def layer(binary):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("mcp-whittle")
        entry.size, entry.mode, entry.mtime = len(binary), 0o755, 0
        tar.addfile(entry, io.BytesIO(binary))
    return archive.getvalue()


class Layout:
    def __init__(self):
        self.blobs = {}

    def add(self, data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def add_json(self, value, kind, **more):
        return self.add(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), kind, **more)

    def image(self, binary, architecture, version):
        plain = layer(binary)
        config = {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": "65532:65532",
                "Entrypoint": ["/mcp-whittle"],
                "Labels": {
                    "org.opencontainers.image.title": "mcp-whittle",
                    "org.opencontainers.image.version": version,
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.add_json(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [self.add(gzip.compress(plain, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
        }
        platform = {"architecture": architecture, "os": "linux"}
        return self.add_json(manifest, manifest["mediaType"], platform=platform)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", required=True)
    parser.add_argument("--binary", action="append", required=True, metavar="ARCHITECTURE=FILE")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    layout, images = Layout(), []
    for given in options.binary:
        architecture, _, path = given.partition("=")
        if architecture not in MACHINES:
            fail(f"the architecture {architecture!r} is unknown", "write amd64=FILE or arm64=FILE")
        binary = pathlib.Path(path).read_bytes()
        check(binary, architecture, path)
        images.append(layout.image(binary, architecture, options.version))
    kind = "application/vnd.oci.image.index.v1+json"
    named = {"org.opencontainers.image.ref.name": options.version}
    whole = layout.add_json({"schemaVersion": 2, "mediaType": kind, "manifests": images}, kind, annotations=named)
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": [whole]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index, sort_keys=True).encode()}
    files |= {f"blobs/sha256/{digest}": data for digest, data in sorted(layout.blobs.items())}
    part = options.out.with_name(options.out.name + ".part")
    with tarfile.open(part, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    part.replace(options.out)
    print(whole["digest"])


if __name__ == "__main__":
    main()
