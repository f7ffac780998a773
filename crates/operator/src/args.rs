//! The command line and its environment variables.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use desired::Images;

use crate::ops::{Endpoint, Files, OpsAuth};

/// Where the ops endpoint is, if nothing else is said.
const OPS_PORT: u16 = 8080;

/// Watches BackupPolicies and keeps their CronJobs and statuses right. Backups run without it.
#[derive(Debug, Parser)]
#[command(name = "pgbackup-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator.
    Run(Box<RunArgs>),
    /// Prints the CustomResourceDefinition.
    Crd,
    /// Prints the OpenAPI document of the ops endpoint.
    Openapi,
}

/// The operator's settings.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The image that brings the runner into backup pods.
    #[arg(long, env = "PGBACKUP_RUNNER_IMAGE")]
    runner_image: String,
    /// The repository of PostgreSQL images: `postgres.version: 17` means <repository>:17.
    #[arg(long, env = "PGBACKUP_POSTGRES_REPOSITORY", default_value = "docker.io/library/postgres")]
    postgres_repository: String,
    /// When the images of backup pods are pulled.
    #[arg(long, env = "PGBACKUP_IMAGE_PULL_POLICY", value_enum, default_value = "if-not-present")]
    image_pull_policy: PullPolicy,
    /// Watch this namespace only. Default: all.
    #[arg(long, env = "PGBACKUP_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// The namespace of the Lease that replicas share.
    #[arg(long, env = "PGBACKUP_NAMESPACE", default_value = "pgbackup-system")]
    pub lease_namespace: String,
    /// The Lease's name.
    #[arg(long, env = "PGBACKUP_LEASE_NAME", default_value = "pgbackup-operator")]
    pub lease_name: String,
    /// Who this replica is, in the Lease and in events: the pod's name. Default: another one at each start.
    #[arg(long, env = "PGBACKUP_IDENTITY")]
    identity: Option<String>,
    /// Where health, metrics, the API and the page are. Default: port 8080 of all addresses, IPv6 and IPv4.
    #[arg(long, env = "PGBACKUP_OPS_ADDRESS")]
    ops_address: Option<SocketAddr>,
    /// How callers of the ops endpoint prove who they are; health is for everybody.
    #[arg(long, env = "PGBACKUP_OPS_AUTH", value_enum, default_value = "token")]
    ops_auth: OpsAuth,
    /// The certificate of the ops endpoint, in PEM, with those between it and its authority: then it speaks HTTPS. A new
    /// one in the same file is used within seconds.
    #[arg(long, env = "PGBACKUP_OPS_TLS_CERT", value_name = "FILE", requires = "ops_tls_key")]
    ops_tls_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, env = "PGBACKUP_OPS_TLS_KEY", value_name = "FILE", requires = "ops_tls_cert")]
    ops_tls_key: Option<PathBuf>,
    /// How the log is written.
    #[arg(long, env = "PGBACKUP_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter like pgbackup_operator=debug,kube=info.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log_level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PullPolicy {
    IfNotPresent,
    Always,
    Never,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl RunArgs {
    /// Who this replica is. Two of them with one name would both take the Lease for theirs.
    pub fn identity(&self) -> String {
        let chance = || format!("pgbackup-operator-{:08x}", RandomState::new().hash_one(()) >> 32);
        self.identity.clone().unwrap_or_else(chance)
    }

    /// Where and how the ops endpoint is served.
    pub fn ops(&self) -> Endpoint {
        let files = self.ops_tls_cert.clone().zip(self.ops_tls_key.clone());
        Endpoint {
            address: self.ops_address.unwrap_or_else(|| SocketAddr::new(all_addresses(), OPS_PORT)),
            auth: self.ops_auth,
            tls: files.map(|(certificate, key)| Files { certificate, key }),
        }
    }

    /// What goes into objects.
    pub fn images(&self) -> Images {
        let pull_policy = match self.image_pull_policy {
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Always => "Always",
            PullPolicy::Never => "Never",
        };
        Images {
            runner: self.runner_image.clone(),
            postgres_repository: self.postgres_repository.clone(),
            pull_policy: pull_policy.to_owned(),
        }
    }
}

/// What stands for each address of the pod. On Linux that of IPv6 takes IPv4 too (`net.ipv6.bindv6only` is 0, in each new
/// network namespace); a kernel without IPv6 does not know it.
fn all_addresses() -> IpAddr {
    let has_ipv6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    if has_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// The kubelet asks the pod's first address, of whichever family that is.
    #[test]
    fn the_ops_endpoint_is_on_addresses_of_both_families_unless_one_is_given() {
        let run = |more: &[&str]| {
            let args = [&["pgbackup-operator", "run", "--runner-image", "r"], more].concat();
            let Command::Run(args) = Cli::try_parse_from(args).unwrap().command else { unreachable!() };
            args.ops().address
        };
        let address = run(&[]);
        assert_eq!(address.port(), OPS_PORT);
        let listener = TcpListener::bind((address.ip(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
        assert_eq!(run(&["--ops-address", "127.0.0.1:9"]).to_string(), "127.0.0.1:9");
    }
}
