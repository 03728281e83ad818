//! How a node of K3s was started, which it notes in an annotation.

/// The annotation: a list of arguments in JSON.
pub const ARGUMENTS: &str = "k3s.io/node-args";
/// The argument by which it enforces no policies (`docs.k3s.io/networking/networking-services`).
pub const NO_POLICIES: &str = "--disable-network-policy";

/// The arguments that an annotation lists.
pub fn words(noted: &str) -> impl Iterator<Item = &str> {
    noted.split(['[', ']', '"', ',', ' ']).filter(|word| !word.is_empty())
}
