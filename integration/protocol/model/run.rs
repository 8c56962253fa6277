//! Several clients, one pgwarden, some servers.

use super::client::ModelClient;
use super::generator::Generator;
use super::host::{ModelHost, pieces};
use super::random::Random;
use crate::script::frontend::startup;
use crate::script::{Pooler, Setup};

/// Some sequences through one pgwarden, which keeps its servers from one to the next.
pub(super) struct Run {
    seed: u64,
    random: Random,
    host: ModelHost,
    pooler: Pooler,
    size: usize,
}

impl Run {
    /// Sequences in a run.
    pub(super) const SEQUENCES: u64 = 20;

    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let size = 1 + random.below(3);
        let setup = Setup::default().pool(&format!(
            "size = {size}\nmax_prepared_statements = {}\nprepare_unnamed = {}",
            1 + random.below(4),
            random.one_in(4)
        ));
        let host = ModelHost::start(seed);
        Self {
            pooler: Pooler::start(&setup, host.port()),
            seed,
            random,
            host,
            size,
        }
    }

    pub(super) fn play(mut self) {
        for number in 0..Self::SEQUENCES {
            self.sequence(number);
        }
        self.all_slots_are_there();
    }

    fn sequence(&mut self, sequence: u64) {
        let mut clients: Vec<_> = (0..1 + self.random.below(4))
            .map(|number| self.enters(number))
            .collect();
        for _ in 0..10 + self.random.below(40) {
            let at = self.random.below(clients.len());
            if !self.may_act(&clients, at) {
                continue;
            }
            if self.random.one_in(60) {
                self.vanishes(&mut clients[at]);
                clients[at] = self.enters(clients[at].number);
            } else {
                self.acts(&mut clients[at], sequence, |g| g.anything());
            }
        }
        for at in (0..clients.len()).rev() {
            while clients[at].oracle.is_held() {
                self.acts(&mut clients[at], sequence, |g| g.ending());
            }
            clients[at].connection.saw_nothing();
        }
    }

    /// Whether a server is free for this client: the test must not wait for itself.
    fn may_act(&self, clients: &[ModelClient], at: usize) -> bool {
        let holders = clients.iter().filter(|c| c.oracle.is_held()).count();
        clients[at].oracle.is_held() || holders < self.size
    }

    fn enters(&self, number: usize) -> ModelClient {
        let mut connection = self.pooler.connects();
        connection.sends(startup("alice", "shop"));
        connection.is_welcomed();
        ModelClient::new(number, connection)
    }

    /// Sends one flight and compares what comes back.
    fn acts(
        &mut self,
        client: &mut ModelClient,
        sequence: u64,
        choose: impl FnOnce(Generator<'_>) -> Vec<crate::script::Message>,
    ) {
        let owner = client.number;
        let (oracle, knowledge) = (&mut client.oracle, &mut client.knowledge);
        let messages = choose(Generator::new(&mut self.random, oracle, knowledge, owner));
        let expected = client.oracle.says();
        let line = client.describes(&messages, &expected);
        let bytes: Vec<u8> = messages.iter().flat_map(|m| m.bytes.clone()).collect();
        for piece in pieces(&bytes, &mut self.random) {
            client.connection.sends_bytes(piece);
        }
        let context = format!(
            "MODEL_SEED={} sequence {sequence}, size {}: {line}\nbefore that:\n{}\n",
            self.seed,
            self.size,
            client.history.join("\n")
        );
        let heard = client.connection.hears_up_to(expected.len(), &context);
        let violations = self.host.violations();
        assert!(
            heard == expected && violations.is_empty(),
            "{context}heard {}\nviolations: {violations:?}",
            heard.escape_ascii(),
        );
        client.history.push(line);
    }

    /// Disappears somewhere in the middle of a flight.
    fn vanishes(&mut self, client: &mut ModelClient) {
        let owner = client.number;
        let (oracle, knowledge) = (&mut client.oracle, &mut client.knowledge);
        let messages = Generator::new(&mut self.random, oracle, knowledge, owner).anything();
        let bytes: Vec<u8> = messages.into_iter().flat_map(|m| m.bytes).collect();
        let cut = self.random.below(bytes.len() + 1);
        client.connection.sends_bytes(&bytes[..cut]);
        let gone = std::mem::replace(&mut client.connection, self.pooler.connects());
        gone.resets();
    }

    /// As many clients as there are servers can have one each at the same time.
    fn all_slots_are_there(&mut self) {
        let mut clients: Vec<_> = (0..self.size).map(|number| self.enters(number)).collect();
        for client in &mut clients {
            client.connection.asks(
                crate::script::frontend::query("begin"),
                [
                    crate::script::backend::complete("BEGIN"),
                    crate::script::backend::ready(crate::script::backend::InTransaction),
                ],
            );
        }
    }
}
