//! What a process may do, and giving it up: once interfaces are open, nothing of it is needed.

use super::problem;
use crate::model::Problem;
use caps::CapSet;
use nix::unistd::{Gid, Group, Uid, User, geteuid, setgroups, setresgid, setresuid};
use std::fmt;

/// Whom to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

/// The account of `--user`, by name or number, or else the one that called sudo; `None` where
/// there is neither, and where it is root.
///
/// # Errors
/// There is no such user.
#[expect(clippy::disallowed_methods, reason = "sudo tells who called it in the environment alone")]
pub fn account(named: Option<&str>) -> Result<Option<Account>, Problem> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let found = match named {
        None => number("SUDO_UID").zip(number("SUDO_GID")).map(|(uid, gid)| Account { uid, gid }),
        Some(name) => {
            let failed = |message: String| problem("--user", &message, "a name or a number of a user");
            let by_number = |uid: u32| User::from_uid(Uid::from_raw(uid));
            let user = match name.parse() {
                Ok(uid) => by_number(uid),
                Err(_) => User::from_name(name),
            };
            match (user.map_err(|error| failed(error.to_string()))?, name.parse()) {
                (Some(user), _) => Some(Account { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
                // A number needs no name; its group is then that of nobody else either.
                (None, Ok(uid)) => Some(Account { uid, gid: uid }),
                (None, Err(_)) => return Err(failed(format!("there is no user {name:?}"))),
            }
        }
    };
    Ok(found.filter(|account| account.uid != 0))
}

/// Who the process goes on as, without capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoesOn {
    /// The user that it was started as, who is not root.
    AsBefore,
    /// Another user: `nobody:nogroup`.
    As(String),
    /// Root, to whom most files of the machine belong.
    StillRoot,
}

impl fmt::Display for GoesOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GoesOn::AsBefore => f.write_str("no capabilities are left"),
            GoesOn::As(who) => write!(f, "went on as {who}, no capabilities are left"),
            GoesOn::StillRoot => f.write_str(
                "no capabilities are left, but this is still root, to whom files belong; \
                 --user NAME goes on as somebody else",
            ),
        }
    }
}

/// Gives up all privileges of all threads, for good; who is left.
///
/// # Errors
/// Something could not be given up: then nothing should go on.
pub fn give_up_privileges(account: Option<&Account>) -> Result<GoesOn, Problem> {
    let refused = |what: &str, error: &dyn std::fmt::Display| {
        problem("privileges", &format!("{what}: {error}"), "start without privileges, or with --user NAME")
    };
    let was_root = geteuid().is_root();
    if was_root {
        // What cannot be gained again; needs CAP_SETPCAP, which a container may lack.
        drop(caps::clear(None, CapSet::Bounding));
    }
    let mut left = GoesOn::AsBefore;
    if let Some(Account { uid, gid }) = account.filter(|_| was_root) {
        let (user, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        setgroups(&[group]).map_err(|error| refused("cannot leave groups", &error))?;
        setresgid(group, group, group).map_err(|error| refused("cannot change the group", &error))?;
        setresuid(user, user, user).map_err(|error| refused("cannot change the user", &error))?;
        let name = User::from_uid(user).ok().flatten().map_or(uid.to_string(), |user| user.name);
        let of = Group::from_gid(group).ok().flatten().map_or(gid.to_string(), |group| group.name);
        left = GoesOn::As(format!("{name}:{of}"));
    } else if was_root {
        left = GoesOn::StillRoot;
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| refused("cannot give up new privileges", &error))?;
    clear()?;
    // Capabilities belong to threads: those that already run clear theirs too.
    rayon::broadcast(|_| clear()).into_iter().collect::<Result<Vec<()>, Problem>>()?;
    Ok(left)
}

/// Clears the capabilities of this thread, and looks whether they are gone.
fn clear() -> Result<(), Problem> {
    let failed = |error: caps::errors::CapsError| {
        problem("privileges", &format!("cannot give up capabilities: {error}"), "")
    };
    // Kernels before 4.3 have no ambient set.
    drop(caps::clear(None, CapSet::Ambient));
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(failed)?;
    }
    let left = caps::read(None, CapSet::Permitted).map_err(failed)?;
    match left.is_empty() {
        true => Ok(()),
        false => Err(problem("privileges", "capabilities are left after they were given up", "")),
    }
}
