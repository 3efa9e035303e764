//! `[auth]`: what registering and signing in cost.

use http::Uri;

use crate::config::read::{Count, Reader};
use crate::config::words::Registration;
use crate::config::{Auth, AuthLimits, PasswordRules, file};

use super::passkeys;
use super::tokens::twice;
use super::{Folder, providers};

/// Below this a hash protects nothing, and a missing letter in the unit is likelier than intent.
const LEAST_MEMORY: u64 = 1 << 20;
const MOST_MEMORY: u64 = 4 << 30;

pub(super) fn auth(reader: &mut Reader, file: &file::Auth, public_url: &Uri, folder: &Folder<'_>) -> Auth {
    twice(reader, &file.default_roles.value, ToString::to_string);
    twice(reader, &file.return_to_hosts.value, |host| host.0.clone());
    let limits = &file.limits;
    let registration = file.registration.value == Registration::Open;
    Auth {
        base_path: file.base_path.value.0.clone(),
        registration,
        providers: providers::providers(reader, &file.providers, registration, folder),
        default_roles: file.default_roles.value.iter().map(|role| role.value.clone()).collect(),
        password: rules(reader, &file.password),
        limits: AuthLimits {
            per_ip: limits.per_ip.value,
            per_account_ip: limits.per_account_ip.value,
            per_account: limits.per_account.value,
            per_account_code: limits.per_account_code.value,
        },
        return_to_hosts: file
            .return_to_hosts
            .value
            .iter()
            .map(|host| host.value.0.clone())
            .collect(),
        passkeys: passkeys::passkeys(reader, &file.passkeys, public_url),
    }
}

fn rules(reader: &mut Reader, file: &file::Password) -> PasswordRules {
    let (shortest, longest) = (file.min_length.value.0, file.max_length.value.0);
    if shortest > longest && !file.min_length.broken && !file.max_length.broken {
        reader.mistake(&file.min_length.place, "must not be more than `max_length`");
    }
    PasswordRules {
        min_length: count(file.min_length.value),
        max_length: count(file.max_length.value),
        memory_kib: memory(reader, &file.argon2),
        iterations: file.argon2.iterations.value.0,
        lanes: file.argon2.lanes.value.0,
        threads: count(file.threads.value),
        queue: count(file.queue.value),
    }
}

fn memory(reader: &mut Reader, file: &file::Argon2) -> u32 {
    let octets = file.memory.value.0;
    if !(LEAST_MEMORY..=MOST_MEMORY).contains(&octets) || !octets.is_multiple_of(1024) {
        reader.mistake(&file.memory.place, "must be whole KiB, from \"1MiB\" to \"4GiB\"");
    }
    u32::try_from(octets / 1024).unwrap_or(u32::MAX)
}

fn count<const MIN: u32, const MAX: u32>(count: Count<MIN, MAX>) -> usize {
    usize::try_from(count.0).unwrap_or(usize::MAX)
}
