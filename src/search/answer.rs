//! An answer to one or several queries: names first, then scores; no server may fill the list alone
//! while another one competes; and the verdict whether anything fits.

use crate::search::fit::{Verdict, verdict};
use crate::search::index::Index;
use crate::search::names::NameHit;
use crate::search::query::Query;
use crate::search::rank::Scores;

/// Queries of one request that are looked at; the rest is left out.
pub const MAX_QUERIES: usize = 16;
/// Tools in one answer, at most.
pub const MAX_HITS: usize = 200;
/// Tools of one server that come first by their names or titles, at most.
const NAMED_PER_SERVER: usize = 2;
/// Share of the score that a tool of another server needs to take the place of one beyond the quota.
const COMPETES: f64 = 0.5;
/// Candidates looked at for one place.
const CANDIDATES_PER_PLACE: usize = 8;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Each says one need; at most [`MAX_QUERIES`] are looked at.
    pub queries: &'a [&'a str],
    /// Only tools of this server, by its name as in the entries.
    pub server: Option<&'a str>,
    /// Tools in the answer, over all queries; at most [`MAX_HITS`].
    pub limit: usize,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The best verdict over the queries. With [`Verdict::NothingFits`] the hits are only what is nearest.
    pub verdict: Verdict,
    /// The tools, the best first, each once.
    pub hits: Vec<Hit>,
    /// The verdict on each query that was looked at.
    pub verdicts: Vec<Verdict>,
    /// Something was longer than the bounds: a query, or their number.
    pub is_cut: bool,
}

/// One tool of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The tool's position in the catalogue.
    pub tool: usize,
    /// Its score for its query; 0 if only its name was hit. Comparable within one query only.
    pub score: f64,
    /// Which of the queries found it (the first, if several did).
    pub query: usize,
    /// How the query names the tool, if it does.
    pub named: Option<NameHit>,
}

/// A server filter that names no server of the catalogue; one that has not come up has no tools in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no tools are known of a server called `{server}`")]
pub struct UnknownServer {
    /// What was asked for.
    pub server: String,
    /// The servers there are.
    pub servers: Vec<String>,
}

impl Index {
    /// Answers one or several queries.
    ///
    /// Several queries are merged by turns: the first places go to the best tool of each query, in the
    /// order of the queries, because scores of different queries cannot be compared. Queries for which
    /// nothing fits wait until the others are served.
    ///
    /// # Errors
    /// [`UnknownServer`] when the filter names no server of the catalogue.
    pub fn answer(&self, request: &Request<'_>) -> Result<Answer, UnknownServer> {
        let server = match request.server {
            Some(name) => Some(self.server_number(name)?),
            None => None,
        };
        let limit = request.limit.min(MAX_HITS);
        let mut is_cut = request.queries.len() > MAX_QUERIES;
        let mut verdicts = Vec::new();
        let mut lists = Vec::new();
        for (n, text) in request.queries.iter().take(MAX_QUERIES).enumerate() {
            let query = Query::read(self, text);
            is_cut |= query.is_cut;
            let (verdict, hits) = self.answer_one(text, &query, n, server, limit);
            verdicts.push(verdict);
            lists.push((verdict, hits));
        }
        lists.sort_by_key(|(verdict, _)| *verdict == Verdict::NothingFits);
        let lists: Vec<_> = lists.into_iter().map(|(_, hits)| hits).collect();
        Ok(Answer {
            verdict: verdicts
                .iter()
                .copied()
                .max()
                .unwrap_or(Verdict::NothingFits),
            hits: by_turns(&lists, limit),
            verdicts,
            is_cut,
        })
    }

    /// Returns the tools whose names are nearest to a name that no tool has, the nearest first, at most
    /// `limit`; none if nothing is near. Linear in the number of tools.
    pub fn nearest_names(&self, name: &str, limit: usize) -> Vec<usize> {
        let found = self.names.nearest(name, limit);
        found.into_iter().map(|tool| tool as usize).collect()
    }

    fn server_number(&self, name: &str) -> Result<u32, UnknownServer> {
        match self.servers().position(|server| server == name) {
            Some(number) => Ok(number as u32),
            None => Err(UnknownServer {
                server: name.to_owned(),
                servers: self.servers().map(str::to_owned).collect(),
            }),
        }
    }

    fn answer_one(
        &self,
        text: &str,
        query: &Query,
        number: usize,
        server: Option<u32>,
        limit: usize,
    ) -> (Verdict, Vec<Hit>) {
        let is_wanted = |tool: usize| server.is_none_or(|server| self.server_of[tool] == server);
        let scores = Scores::of(self, query);
        let mut places = Places::new(self.servers.len());
        let hit = |tool, score, named| Hit {
            tool,
            score,
            query: number,
            named,
        };
        let mut named: Vec<Hit> = self
            .names
            .hits(text)
            .into_iter()
            .map(|(how, tool)| hit(tool as usize, scores.of_tool(tool as usize), Some(how)))
            .filter(|hit| is_wanted(hit.tool))
            .collect();
        named.sort_by(|a, b| (a.named.cmp(&b.named)).then(b.score.total_cmp(&a.score)));
        named.retain(|hit| places.take(self.server_of[hit.tool]) <= NAMED_PER_SERVER);
        named.truncate(limit);

        let ranked: Vec<Hit> = scores
            .best(limit.saturating_mul(CANDIDATES_PER_PLACE), is_wanted)
            .into_iter()
            .filter(|scored| named.iter().all(|hit| hit.tool != scored.tool))
            .map(|scored| hit(scored.tool, scored.score, None))
            .collect();
        // Words judge, with and without a table: nearness of meaning tells even less whether a tool fits.
        let verdict = match (named.first(), scores.best_by_words(is_wanted)) {
            (Some(_), _) => Verdict::Fits,
            (None, Some(best)) => verdict(self, query, best),
            (None, None) => Verdict::NothingFits,
        };
        let quota = if server.is_some() {
            limit
        } else {
            quota(limit)
        };
        let hits = share_out(named, ranked, limit, quota, &self.server_of);
        (verdict, hits)
    }
}

/// Places of one server in a list of `limit` while others compete: four of five.
fn quota(limit: usize) -> usize {
    (limit * 4).div_ceil(5)
}

/// Fills the places in order. A server beyond its quota gives way to the next tool of another one that
/// is half as good; if there is none it keeps the place.
fn share_out(
    mut hits: Vec<Hit>,
    mut ranked: Vec<Hit>,
    limit: usize,
    quota: usize,
    server_of: &[u32],
) -> Vec<Hit> {
    let mut taken = Places::new(server_of.iter().max().map_or(0, |most| *most as usize + 1));
    for hit in &hits {
        taken.take(server_of[hit.tool]);
    }
    while hits.len() < limit && !ranked.is_empty() {
        let enough = COMPETES * ranked[0].score;
        let at = ranked
            .iter()
            .take_while(|hit| hit.score >= enough)
            .position(|hit| taken.of(server_of[hit.tool]) < quota)
            .unwrap_or(0);
        let hit = ranked.remove(at);
        taken.take(server_of[hit.tool]);
        hits.push(hit);
    }
    hits
}

/// The first of each list, then the second of each, and so on; each tool once.
fn by_turns(lists: &[Vec<Hit>], limit: usize) -> Vec<Hit> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let mut hits: Vec<Hit> = Vec::new();
    for place in 0..longest {
        for hit in lists.iter().filter_map(|list| list.get(place)) {
            if hits.len() < limit && hits.iter().all(|known| known.tool != hit.tool) {
                hits.push(*hit);
            }
        }
    }
    hits
}

/// How many places each server has.
struct Places(Vec<usize>);

impl Places {
    fn new(n_servers: usize) -> Self {
        Self(vec![0; n_servers])
    }

    fn of(&self, server: u32) -> usize {
        self.0[server as usize]
    }

    /// Takes one more and returns how many it is.
    fn take(&mut self, server: u32) -> usize {
        self.0[server as usize] += 1;
        self.0[server as usize]
    }
}
