//! The command line and its environment variables.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use desired::Images;

use crate::ops::{Endpoint, Files, OpsAuth};

const OPS_PORT: u16 = 8080;

/// Create the CronJobs of BackupPolicies, and write the status of BackupPolicies. Backups also start while the operator is down.
#[derive(Debug, Parser)]
#[command(name = "pgbackup-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition of BackupPolicy
    Crd,
    /// Print the OpenAPI document of the ops endpoint
    Openapi,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Image that contains the runner, which an init container copies into the pods of backups and scrubs
    #[arg(long, env = "PGBACKUP_RUNNER_IMAGE", value_name = "IMAGE")]
    runner_image: String,
    /// Repository of the PostgreSQL images; for `postgres.version: 17` in a policy, the image is <repository>:17
    #[arg(
        long,
        env = "PGBACKUP_POSTGRES_REPOSITORY",
        value_name = "REPOSITORY",
        default_value = "docker.io/library/postgres"
    )]
    postgres_repository: String,
    /// Pull policy of the images of the pods of backups and scrubs
    #[arg(
        long,
        env = "PGBACKUP_IMAGE_PULL_POLICY",
        value_enum,
        value_name = "POLICY",
        default_value = "if-not-present"
    )]
    image_pull_policy: PullPolicy,
    /// Namespace whose policies the operator processes [default: all namespaces]
    #[arg(long, env = "PGBACKUP_WATCH_NAMESPACE", value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Namespace of the Lease by which the replicas elect the leader
    #[arg(long, env = "PGBACKUP_NAMESPACE", value_name = "NAMESPACE", default_value = "pgbackup-system")]
    pub lease_namespace: String,
    /// Name of the Lease by which the replicas elect the leader
    #[arg(long, env = "PGBACKUP_LEASE_NAME", value_name = "NAME", default_value = "pgbackup-operator")]
    pub lease_name: String,
    /// Name of this replica in the Lease and in events, for example the pod's name [default: random]
    #[arg(long, env = "PGBACKUP_IDENTITY", value_name = "NAME")]
    identity: Option<String>,
    /// Address of the ops endpoint: health, metrics, API and page [default: port 8080 of all IPv6 and IPv4 addresses]
    #[arg(long, env = "PGBACKUP_OPS_ADDRESS", value_name = "ADDRESS:PORT")]
    ops_address: Option<SocketAddr>,
    /// Authentication that the ops endpoint requires; /healthz and /readyz require none
    #[arg(long, env = "PGBACKUP_OPS_AUTH", value_enum, value_name = "METHOD", default_value = "token")]
    ops_auth: OpsAuth,
    /// File with the certificate chain of the ops endpoint, in PEM format; enables HTTPS; a changed file is loaded within seconds
    #[arg(long, env = "PGBACKUP_OPS_TLS_CERT", value_name = "FILE", requires = "ops_tls_key")]
    ops_tls_cert: Option<PathBuf>,
    /// File with the private key of that certificate, in PEM format
    #[arg(long, env = "PGBACKUP_OPS_TLS_KEY", value_name = "FILE", requires = "ops_tls_cert")]
    ops_tls_key: Option<PathBuf>,
    /// Format of the log
    #[arg(long, env = "PGBACKUP_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log level (error, warn, info, debug) or filter, for example pgbackup_operator=debug,kube=info
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log_level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PullPolicy {
    IfNotPresent,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

impl RunArgs {
    /// Returns the name of this replica in the Lease. Replicas need different names: two replicas with the
    /// same name would both hold the Lease.
    pub fn identity(&self) -> String {
        let random = || format!("pgbackup-operator-{:08x}", fastrand::u32(..));
        self.identity.clone().unwrap_or_else(random)
    }

    pub fn ops(&self) -> Endpoint {
        let files = self.ops_tls_cert.clone().zip(self.ops_tls_key.clone());
        Endpoint {
            address: self.ops_address.unwrap_or_else(|| SocketAddr::new(all_addresses(), OPS_PORT)),
            auth: self.ops_auth,
            tls: files.map(|(certificate, key)| Files { certificate, key }),
        }
    }

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

/// Returns the address that listens on all addresses of the pod. On Linux `::` also accepts IPv4
/// (`net.ipv6.bindv6only` is 0 in each new network namespace). A kernel without IPv6 supports only `0.0.0.0`.
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
    fn operator_command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn operator_flag_help_ends_without_full_stop() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        let helps = run.get_arguments().filter_map(|argument| argument.get_help());
        let commands = command.get_subcommands().filter_map(|command| command.get_about());
        for help in helps.chain(commands) {
            assert!(!help.to_string().ends_with('.'), "{help}");
        }
    }

    /// The kubelet probes the pod's first address, which may be IPv4 or IPv6.
    #[test]
    fn ops_endpoint_listens_on_ipv6_and_ipv4_by_default() {
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
