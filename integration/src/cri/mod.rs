//! A client of the Container Runtime Interface, by which Kubernetes drives containerd and CRI-O.
//!
//! gRPC is protobuf messages in HTTP/2. Of both the client knows what calls with one answer take, so
//! that the tests need neither a protobuf compiler nor a gRPC library.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::outcome::{Outcome, Stop};

mod hpack;
mod http2;
mod message;
mod schema;

use schema::Schema;

/// gRPC's names of its status codes, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Calls a method of the server at a socket, with the fields of its request by their names, and gives
/// the fields of its answer.
pub fn call(socket: &Path, method: &str, request: &Value, limit: Duration) -> Outcome<Value> {
    let schema = Schema::new();
    let (path, request_type, reply_type) = schema.method(method)?;
    let body = message::encode(&schema, request_type, request)?;
    let reply = http2::call(socket, &path, &body, limit)?;
    if reply.status != 0 {
        let code = CODES.get(reply.status).unwrap_or(&"unknown code");
        return Err(Stop::fail(format!("{code}: {}", reply.message)));
    }
    message::decode(&schema, reply_type, &reply.body)
}
