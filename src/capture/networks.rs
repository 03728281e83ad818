//! What tells networks apart in which the same addresses may be those of others: the one table of it, for
//! packets and for flows in words.

/// On a link.
const LINKS: &[&str] = &["vlan", "pbb"];
/// Tunnels whose number tells networks apart. Sessions are no such numbers: they differ with the direction
/// and change on the way.
const TUNNELS: &[&str] = &["vxlan", "geneve", "nvgre", "gre"];
/// Of a stack of labels, the outermost changes on the way, and the innermost stays: beneath another it is
/// that of a network.
const LABELS: &str = "mpls";
/// What stands between the tags of a link and its packets and is no tunnel.
const INSIDE_OF_LINKS: &[&str] = &["mpls", "pppoe", "macsec-integrity", "ah", "nsh"];

/// Which places of a chain of encapsulations, outermost first, each with whether it has a number, tell
/// networks apart. Tags of a link around a tunnel do not: they are those of its ends.
pub fn telling_networks<'a>(chain: impl Iterator<Item = (&'a str, bool)>) -> Vec<usize> {
    let (mut telling, mut above) = (Vec::<(usize, bool)>::new(), "");
    for (place, (name, is_numbered)) in chain.enumerate() {
        let is_beneath_another = (above, name) == (LABELS, LABELS);
        above = name;
        if is_beneath_another {
            telling.retain(|(_, on_link)| !on_link);
            telling.push((place, false));
        } else if LINKS.contains(&name) {
            telling.push((place, true));
        } else if !INSIDE_OF_LINKS.contains(&name) {
            telling.retain(|(_, on_link)| !on_link);
            if is_numbered && TUNNELS.contains(&name) {
                telling.push((place, false));
            }
        }
    }
    telling.into_iter().map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_around_a_tunnel_are_those_of_its_ends() {
        let telling = |chain: &[(&'static str, bool)]| telling_networks(chain.iter().copied());
        assert_eq!(telling(&[("vlan", true), ("mpls", true), ("pbb", true)]), [0, 2]);
        assert_eq!(telling(&[("vlan", true), ("vxlan", true), ("vlan", true)]), [1, 2]);
        assert_eq!(telling(&[("vlan", true), ("ipip", false)]), [0; 0]);
        assert_eq!(telling(&[("vlan", true), ("mpls", true), ("mpls", true)]), [2]);
        assert_eq!(telling(&[("gre", false), ("geneve", true), ("gtp", true)]), [1]);
    }
}
