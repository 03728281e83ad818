//! What was read of a running cluster at one moment: its head, and the objects behind it.
//!
//! ```yaml
//! apiVersion: watertight.dev/v1
//! kind: Snapshot
//! takenAt: 2026-11-25T16:00:00Z
//! cluster: production
//! reads: [Namespace, Pod, NetworkPolicy]
//! forbidden: [{kind: Node, reason: "nodes is forbidden: User \"x\" cannot list …"}]
//! ---
//! apiVersion: v1
//! kind: Pod
//! ```

use super::{Bend, Document, Gap, Instant, Node, Origin, Problem, Value};

/// `apiVersion` of the head.
pub const API_VERSION: &str = "watertight.dev/v1";
/// `kind` of the head.
pub const KIND: &str = "Snapshot";

/// A snapshot with its objects.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When, where and of what it was taken.
    pub head: SnapshotHead,
    /// The objects, as the API server gave them, and the head.
    pub documents: Vec<Document>,
}

/// The first document of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// `takenAt`.
    pub taken_at: Instant,
    /// `cluster`: its name; empty where none is given.
    pub cluster: String,
    /// `reads`: kinds that were listed, those without an object among them; empty where it is not said.
    pub reads: Vec<String>,
    /// `forbidden`: kinds that could not be listed.
    pub forbidden: Vec<Forbidden>,
    /// Where the head stands.
    pub origin: Origin,
}

/// A kind that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forbidden {
    /// The kind.
    pub kind: String,
    /// What the API server said; empty where it is not known.
    pub reason: String,
    /// Which way the answer bends without it.
    pub bends: Bend,
}

impl SnapshotHead {
    /// Whether a document is the head of a snapshot.
    pub fn is_head(document: &Document) -> bool {
        document.api_version == API_VERSION && &*document.origin.kind == KIND
    }

    /// Reads a head; `None` where the document is none.
    ///
    /// # Errors
    /// A moment that is missing or none, and fields of another shape.
    pub fn of(document: &Document) -> Option<Result<SnapshotHead, Problem>> {
        SnapshotHead::is_head(document).then(|| read(document))
    }

    /// Whether objects of a kind were listed: all that there were are in the snapshot.
    pub fn covers(&self, kind: &str) -> bool {
        let read = self.reads.is_empty() || self.reads.iter().any(|read| read == kind);
        read && !self.forbidden.iter().any(|forbidden| forbidden.kind == kind)
    }

    /// What could not be read is not known: more may be allowed, and somebody may be missing, unless
    /// it is said that what is missing can only restrict.
    pub fn gaps(&self) -> Vec<Gap> {
        let gap = |forbidden: &Forbidden| {
            let because = match forbidden.reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            let kind = &forbidden.kind;
            let what = format!("objects of kind {kind} could not be read for this snapshot{because}");
            Gap { what, origin: self.origin.clone(), bends: forbidden.bends }
        };
        self.forbidden.iter().map(gap).collect()
    }
}

fn read(document: &Document) -> Result<SnapshotHead, Problem> {
    let body = &document.body;
    let refuse = |line: u32, message: String, hint: &str| {
        let line = if line == 0 { document.origin.line } else { line };
        Problem { origin: Origin { line, ..document.origin.clone() }, message, hint: hint.to_owned() }
    };
    let taken_at = body.get("takenAt");
    let line = taken_at.map_or(0, |node| node.line);
    let text = taken_at.and_then(Node::text).unwrap_or_default();
    let taken_at = Instant::parse(text).ok_or_else(|| {
        let message = match text {
            "" => "the snapshot does not say when it was taken".to_owned(),
            text => format!("takenAt {text:?} is no moment"),
        };
        refuse(line, message, "takenAt: 2026-11-25T16:00:00Z (RFC 3339)")
    })?;
    let list = |field: &str| match body.get(field) {
        None => Ok(&[][..]),
        Some(Node { value: Value::List(items), .. }) => Ok(&**items),
        Some(Node { value: Value::Null, .. }) => Ok(&[][..]),
        Some(other) => Err(refuse(other.line, format!("{field} is no list"), "write it as [Pod, Node]")),
    };
    let kind = |node: &Node| {
        let text = node.text().map(str::to_owned);
        text.ok_or_else(|| refuse(node.line, "reads has something that is no kind".to_owned(), "[Pod, Node]"))
    };
    let forbidden = |node: &Node| {
        let hint = "forbidden: [{kind: Node, reason: …}]";
        let kind = node.text_of("kind").or(node.text());
        let kind = kind.ok_or_else(|| refuse(node.line, "forbidden names no kind".to_owned(), hint))?;
        let reason = node.text_of("reason").unwrap_or_default();
        let bends = match node.text_of("bends") {
            Some("may-allow-less") => Bend::MayAllowLess,
            _ => Bend::MayAllowMore,
        };
        Ok(Forbidden { kind: kind.to_owned(), reason: reason.to_owned(), bends })
    };
    Ok(SnapshotHead {
        taken_at,
        cluster: body.text_of("cluster").unwrap_or_default().to_owned(),
        reads: list("reads")?.iter().map(kind).collect::<Result<_, _>>()?,
        forbidden: list("forbidden")?.iter().map(forbidden).collect::<Result<_, _>>()?,
        origin: document.origin.clone(),
    })
}
