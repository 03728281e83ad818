//! Kubeconfig or service account → a client, and its failures in words.

use crate::cluster::{Target, file_name};
use crate::model::Problem;
use crate::source;
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A connection is there in this time, or the server is not.
const CONNECT: Duration = Duration::from_secs(10);
/// A page is there in this time. The API server itself ends requests after a minute.
const READ: Duration = Duration::from_secs(90);

/// A client and the name of its cluster.
pub(super) struct Connection {
    pub client: Client,
    pub name: String,
}

/// Connects; nothing is asked yet.
pub(super) async fn connect(target: &Target) -> Result<Connection, Problem> {
    let (mut config, name) = config(target).await?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    // What is asked for again, and how often, is decided here and told to whoever waits.
    config.default_retry = false;
    let client = Client::try_from(config).map_err(|error| {
        let hint = match &error {
            Error::ProxyProtocolUnsupported { .. } => {
                "proxy-url of the kubeconfig, or $HTTPS_PROXY, begins with http, https or socks5"
            }
            _ => "is the kubeconfig complete?",
        };
        source::problem(&file_name(&name), &chain(&error), hint)
    })?;
    Ok(Connection { client, name })
}

async fn config(target: &Target) -> Result<(Config, String), Problem> {
    let refused = |error: &(dyn std::error::Error + 'static)| {
        let hint = "clusters are named by contexts of a kubeconfig: --context, $KUBECONFIG, ~/.kube/config; \
                    in a pod, by its service account";
        source::problem("cluster", &format!("no cluster is configured: {}", chain(error)), hint)
    };
    let read = match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        // Who names a file or a context does not mean the cluster around the pod.
        Err(error) if target.kubeconfig.is_some() || target.context.is_some() => return Err(refused(&error)),
        Err(error) => {
            return Config::incluster()
                .map(|config| (config, "in-cluster".to_owned()))
                .map_err(|_| refused(&error));
        }
    };
    let name = target.context.clone().or(kubeconfig.current_context.clone()).unwrap_or_default();
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    if !known.contains(&name) {
        let message = match name.is_empty() {
            true => "the kubeconfig has no current context".to_owned(),
            false => format!("the kubeconfig has no context {name:?}"),
        };
        return Err(source::problem(
            "cluster",
            &message,
            &format!("--context takes one of {}", known.join(", ")),
        ));
    }
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| refused(&error))?;
    Ok((config, name))
}

/// Asks for a path.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, Error> {
    client.request(request(path)?).await
}

/// A request for a path.
pub(super) fn request(path: &str) -> Result<Request<Vec<u8>>, Error> {
    Request::get(path).header("accept", "application/json").body(Vec::new()).map_err(Error::HttpError)
}

/// The HTTP status with which the API server refused; 0 where it did not come to that.
pub(super) fn status(error: &Error) -> u16 {
    match error {
        Error::Api(status) => status.code,
        _ => 0,
    }
}

/// An error with what is behind it.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = match error.downcast_ref::<Error>() {
        Some(Error::Api(status)) => return format!("{} ({})", status.message, status.code),
        _ => error.to_string(),
    };
    let mut inner = error.source();
    while let Some(next) = inner {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        inner = next.source();
    }
    text
}

/// What ends a reading: nobody is there, or nobody knows us.
pub(super) fn refused(cluster: &str, error: &Error) -> Problem {
    let hint = match status(error) {
        401 => "the credentials are not, or no longer, accepted: log in again, or renew the token",
        403 => "`watertight snapshot --rbac` prints the permissions that are needed",
        0 => "is the API server reachable from here?",
        _ => "",
    };
    source::problem(&file_name(cluster), &format!("the API server: {}", chain(error)), hint)
}
