//! What comes of each way to send meeting each way to accept.

use super::*;

const PERMISSIVE: Accepts = Accepts {
    plaintext: Admission::Admitted,
    terminates: Some(Dialect::IstioMtls),
    advertises: Some(Dialect::IstioMtls),
    proxied: Admission::Admitted,
};
const STRICT: Accepts = Accepts { plaintext: Admission::Refused, ..PERMISSIVE };

fn protection(sends: Sends, accepts: Accepts) -> ExpectedProtection {
    meet(choose(sends, accepts.advertises, false), accepts).protection
}

#[test]
fn the_same_server_gives_each_client_its_own_protection() {
    let auto = Sends::IfAdvertised(Dialect::IstioMtls);
    assert_eq!(protection(auto, PERMISSIVE), ExpectedProtection::MtlsPermissive);
    assert_eq!(protection(Sends::AsIs, PERMISSIVE), ExpectedProtection::Plaintext);
    assert_eq!(protection(auto, STRICT), ExpectedProtection::MtlsStrict);
    assert_eq!(protection(Sends::AsIs, STRICT), ExpectedProtection::Refused);
    assert_eq!(protection(auto, Accepts::BARE), ExpectedProtection::Plaintext);
}

#[test]
fn mesh_tls_into_a_server_that_does_not_end_it_is_refused() {
    let excluded = Accepts { advertises: Some(Dialect::IstioMtls), ..Accepts::BARE };
    assert_eq!(protection(Sends::IfAdvertised(Dialect::IstioMtls), excluded), ExpectedProtection::Refused);
    assert_eq!(protection(Sends::Always(Dialect::IstioMtls), Accepts::BARE), ExpectedProtection::Refused);
}

#[test]
fn who_speaks_both_dialects_is_spoken_to_in_the_one_that_is_shared() {
    let both = Accepts {
        terminates: Some(Dialect::IstioEither),
        advertises: Some(Dialect::IstioEither),
        ..PERMISSIVE
    };
    let tunnel = Accepts { terminates: Some(Dialect::Hbone), advertises: Some(Dialect::Hbone), ..PERMISSIVE };
    let wire = |sends, accepts: Accepts| meet(choose(sends, accepts.advertises, false), accepts).wire;
    assert_eq!(wire(Sends::IfAdvertised(Dialect::Hbone), both), Some(15_008));
    assert_eq!(wire(Sends::IfAdvertised(Dialect::IstioEither), both), None);
    assert_eq!(wire(Sends::IfAdvertised(Dialect::IstioEither), tunnel), Some(15_008));
    assert_eq!(protection(Sends::IfOnly(Dialect::Hbone), both), ExpectedProtection::Plaintext);
    assert_eq!(protection(Sends::IfOnly(Dialect::Hbone), tunnel), ExpectedProtection::MtlsPermissive);
    assert_eq!(protection(Sends::Always(Dialect::IstioEither), Accepts::BARE), ExpectedProtection::Refused);
}

#[test]
fn only_mesh_tls_that_is_ended_proves_who_calls() {
    let identity = |sends, accepts| meet(sends, accepts).identity;
    assert_eq!(identity(Sends::Always(Dialect::IstioMtls), STRICT), Admission::Admitted);
    assert_eq!(identity(Sends::OtherTls, PERMISSIVE), Admission::Refused);
    assert_eq!(identity(Sends::AsIs, PERMISSIVE), Admission::Refused);
}

#[test]
fn tls_under_a_port_for_http_meets_a_proxy_or_the_application() {
    let tls = |accepts| meet(Sends::OtherTlsOverHttp, accepts).protection;
    assert_eq!(tls(PERMISSIVE), ExpectedProtection::Refused);
    assert_eq!(tls(Accepts::BARE), ExpectedProtection::Tls);
}

#[test]
fn a_server_of_a_gateway_takes_tls_alone() {
    let https = Accepts {
        plaintext: Admission::Refused,
        terminates: Some(Dialect::Foreign),
        advertises: None,
        proxied: Admission::Admitted,
    };
    assert_eq!(protection(Sends::AsIs, https), ExpectedProtection::AppTls);
    assert_eq!(protection(Sends::OtherTls, https), ExpectedProtection::Tls);
    assert_eq!(protection(Sends::Always(Dialect::IstioMtls), https), ExpectedProtection::Refused);
}
