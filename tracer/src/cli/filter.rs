//! Flags of the filter.

use clap::Args;

use crate::select::{
    ClientPattern, HostPattern, MethodPattern, PathPattern, ProcessPattern, Selection,
    StatusPattern,
};

/// What to report.
#[derive(Args, Clone, Debug)]
#[command(
    next_help_heading = "Filter (several of a kind are alternatives, different kinds must all match)"
)]
pub struct FilterArgs {
    /// Method of the request, or `any`
    ///
    /// A response whose request was not seen passes too, as it may have answered one; it is marked
    /// as such. So does a CORS preflight that asks for this method.
    #[arg(
        long = "method",
        value_name = "METHOD",
        default_value = "POST",
        value_delimiter = ','
    )]
    methods: Vec<MethodPattern>,

    /// Status of the answer: 403, 4xx, 400-499 or `any`; `none` for requests without an answer
    #[arg(
        long = "status",
        value_name = "STATUS",
        default_value = "403",
        value_delimiter = ','
    )]
    statuses: Vec<StatusPattern>,

    /// Host that the request names: exact or a glob, in any letter case, with or without port
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostPattern>,

    /// Path, without the query: a glob in which `*` stands for any characters
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<PathPattern>,

    /// Client: an address or a network such as 10.0.0.0/8
    ///
    /// Any address that somebody gave for the client counts: the peer of the socket, the PROXY
    /// protocol, X-Forwarded-For and its kin.
    #[arg(long = "client", value_name = "CIDR", value_delimiter = ',')]
    clients: Vec<ClientPattern>,

    /// Process at either end: name, executable (globs) or pid
    #[arg(long = "process", value_name = "PROCESS")]
    processes: Vec<ProcessPattern>,
}

impl FilterArgs {
    /// The filter that these flags ask for.
    pub fn selection(&self) -> Selection {
        Selection {
            methods: self.methods.clone(),
            statuses: self.statuses.clone(),
            hosts: self.hosts.clone(),
            paths: self.paths.clone(),
            clients: self.clients.clone(),
            processes: self.processes.clone(),
        }
    }
}
