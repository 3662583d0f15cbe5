//! The functions of the contract, each bound to its operation, under every name that a component may import them by.
//!
//! The main type is [`Call`], what a store's state does with an operation; [`bind!`](bind) makes of it the host of every
//! AWS interface, and [`link`] offers them. A function that is missing in `aws::services!` does not compile.

use wasmtime::component::{HasSelf, Linker};

use super::state::StageHost;
use crate::aws::error::AwsError;
use crate::aws::operation::{Read, Write};
use crate::contract::INTERFACES;

/// What a store's state does with an AWS operation that its guest asks for: authorise it, journal it, send it, answer it. An error of
/// the outer result ends the guest.
pub trait Call {
    /// An operation that changes nothing.
    fn read<R: Read>(
        &mut self,
        request: R,
    ) -> impl Future<Output = wasmtime::Result<Result<R::Output, AwsError>>> + Send;

    /// An operation that can change something.
    fn write<W: Write>(
        &mut self,
        request: W,
    ) -> impl Future<Output = wasmtime::Result<Result<W::Output, AwsError>>> + Send;
}

/// Make `$state`, which implements [`Call`], the host of every AWS interface: `crate::aws::services!(bind [State])`.
macro_rules! bind {
    (
        [$state:ty]
        $($(#[$doc:meta])* $interface:ident in $package:ident by $sdk:ident {
            $($access:ident $function:ident($request:ident),)*
        })*
    ) => {
        impl $crate::contract::bindings::kiln::aws::types::Host for $state {}

        $($crate::host::bind::bind_interface!($state, $package, $interface { $($access $function($request),)* });)*
    };
}

macro_rules! bind_interface {
    ($state:ty, $package:ident, $interface:ident { $($access:ident $function:ident($request:ident),)* }) => {
        impl $crate::contract::bindings::kiln::$package::$interface::Host for $state {
            $(
                async fn $function(
                    &mut self,
                    request: $crate::contract::bindings::kiln::$package::$interface::$request,
                ) -> wasmtime::Result<
                    Result<
                        <$crate::contract::bindings::kiln::$package::$interface::$request
                            as $crate::aws::operation::Operation>::Output,
                        $crate::aws::error::AwsError,
                    >,
                > {
                    $crate::host::bind::Call::$access(self, request).await
                }
            )*
        }
    };
}

pub(crate) use {bind, bind_interface};

/// Offer everything that a component may import: the world `stage` as it is, and each AWS interface under the name that it had before
/// every service was a package of its own.
pub(crate) fn link(linker: &mut Linker<StageHost>) -> wasmtime::Result<()> {
    crate::contract::bindings::Stage::add_to_linker::<_, HasSelf<_>>(linker, |host: &mut StageHost| host)?;
    crate::aws::services!(link_as_before[linker]);
    super::before::link(linker)
}

/// The names of all interfaces that [`link`] offers.
pub(crate) fn offered() -> Vec<String> {
    let before = BEFORE.iter().map(|service| format!("kiln:aws/{service}@0.1.0"));
    INTERFACES.iter().map(|&name| name.to_owned()).chain(before).collect()
}

/// The services that there were then.
const BEFORE: &[&str] = &["sts", "secretsmanager", "kms", "ecr", "codebuild", "logs", "ecs", "cloudwatch"];

/// `kiln:aws@0.1.0` held all services in one package. Its records are those of each service's own package; where a service has others
/// since, what a guest of then is handed is made from them in [`super::before`].
macro_rules! link_as_before {
    (
        [$linker:ident]
        $($(#[$doc:meta])* $interface:ident in $package:ident by $sdk:ident {
            $($access:ident $function:ident($request:ident),)*
        })*
    ) => {
        $(if BEFORE.contains(&stringify!($interface)) {
            use crate::contract::bindings::kiln::$package::$interface as bindings;
            let mut instance = $linker.instance(concat!("kiln:aws/", stringify!($interface), "@0.1.0"))?;
            $(
                let name = stringify!($function).replace('_', "-");
                instance.func_wrap_async(
                    &name,
                    |mut store: wasmtime::StoreContextMut<'_, StageHost>, (request,): (bindings::$request,)| {
                        Box::new(async move { Ok((bindings::Host::$function(store.data_mut(), request).await?,)) })
                    },
                )?;
            )*
        })*
    };
}
use link_as_before;
