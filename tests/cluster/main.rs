//! The live cluster, against a real API server with a real etcd behind it.
//!
//! `.ci/apiserver` builds them once; where they are not there, it is said that the tests were left
//! out, and in CI that is a failure.

#![expect(clippy::disallowed_methods, reason = "tests read fixtures and talk to servers of their own")]

mod api_server;
mod definitions;
mod drift;
mod faults;
mod keeping;
mod reading;
mod tool;
mod watch;
mod ways_in;
mod worlds;

#[path = "../common/mod.rs"]
mod common;
