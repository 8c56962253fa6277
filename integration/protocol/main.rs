//! Protocol tests: scripted clients and a scripted PostgreSQL around the real binary.

mod script;

mod auth;
mod bulk;
mod cancel;
mod copy;
mod failures;
mod leftovers;
mod limits;
mod model;
mod modes;
mod news;
mod parameters;
mod pipeline;
mod prepared;
mod startup;
mod tls;
mod unnamed;
mod vanishing;
