//! Functions that need their argument alone.
//!
//! The main function is [`call`].

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::evaluate::{LATER, text};

/// What a function makes of its argument, which is computed already.
pub(crate) fn call(function: &str, argument: &Value) -> Result<Value, String> {
    let items = argument.as_array().map(Vec::as_slice).unwrap_or_default();
    match (function, items) {
        ("Fn::Base64", _) => match text(argument) {
            later if later.contains(LATER) => Ok(Value::from(LATER)),
            text => Ok(Value::String(BASE64_STANDARD.encode(text))),
        },
        ("Fn::Join", [delimiter, list]) => match list {
            Value::Array(list) => {
                let parts: Vec<String> = list.iter().map(text).collect();
                Ok(Value::String(parts.join(&text(delimiter))))
            }
            later if is_later(later) => Ok(Value::from(LATER)),
            _ => Err("every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings"
                .to_owned()),
        },
        ("Fn::Split", [delimiter, whole]) => match text(whole) {
            later if later.contains(LATER) => Ok(Value::from(LATER)),
            whole => {
                let delimiter = text(delimiter);
                if delimiter.is_empty() {
                    return Err("Fn::Split takes a delimiter that is not empty".to_owned());
                }
                Ok(whole.split(&delimiter).map(Value::from).collect())
            }
        },
        ("Fn::Select", [index, list]) => {
            if is_later(list) {
                return Ok(Value::from(LATER));
            }
            let list = list.as_array().ok_or("Fn::Select takes an index and a list")?;
            let index = text(index);
            let found = index.parse::<usize>().ok().and_then(|index| list.get(index));
            found.cloned().ok_or_else(|| format!("Fn::Select cannot select nonexistent value at index {index}"))
        }
        ("Fn::Cidr", [block, count]) => cidr(&text(block), &text(count), None),
        ("Fn::Cidr", [block, count, bits]) => cidr(&text(block), &text(count), Some(&text(bits))),
        ("Fn::Length", _) => match argument {
            Value::Array(list) => Ok(Value::from(list.len())),
            later if is_later(later) => Ok(Value::from(LATER)),
            _ => Err("Fn::Length takes a list".to_owned()),
        },
        ("Fn::ToJsonString", _) => Ok(Value::String(argument.to_string())),
        ("Fn::Join", _) => {
            Err("every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings"
                .to_owned())
        }
        ("Fn::Split" | "Fn::Select" | "Fn::Cidr", _) => Err(format!("{function} has a wrong number of arguments")),
        _ => Err(format!("there is no function {function}")),
    }
}

fn is_later(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(LATER))
}

/// So many blocks of addresses within one, each with 2 to the power of `bits` addresses.
fn cidr(block: &str, count: &str, bits: Option<&str>) -> Result<Value, String> {
    if block.contains(LATER) {
        return Ok(Value::from(LATER));
    }
    let wrong = || format!("Fn::Cidr: {block} is no block of addresses");
    let (address, prefix) = block.split_once('/').ok_or_else(wrong)?;
    let prefix: u32 = prefix.parse().map_err(|_| wrong())?;
    let (base, width, v4) = match (address.parse::<Ipv4Addr>(), address.parse::<Ipv6Addr>()) {
        (Ok(v4), _) => (u128::from(v4.to_bits()), 32, true),
        (Err(_), Ok(v6)) => (v6.to_bits(), 128, false),
        (Err(_), Err(_)) => return Err(wrong()),
    };
    let count: u32 =
        count.parse().ok().filter(|count| (1..=256).contains(count)).ok_or("Fn::Cidr makes 1 to 256 blocks")?;
    let usual = if v4 { "8" } else { "64" };
    let bits: u32 = bits.unwrap_or(usual).parse().map_err(|_| "Fn::Cidr: the bits are a number".to_owned())?;
    if prefix > width || bits >= width {
        return Err(wrong());
    }
    let room = (width - prefix).checked_sub(bits).filter(|room| *room >= 32 || (1_u64 << room) >= u64::from(count));
    room.ok_or_else(|| format!("Fn::Cidr: {block} has no room for {count} blocks of 2^{bits} addresses"))?;
    let size = 1_u128 << bits;
    let blocks = (0..u128::from(count)).map(|number| {
        let at = base + number * size;
        let address = match (v4, u32::try_from(at)) {
            (true, Ok(bits)) => Ipv4Addr::from_bits(bits).to_string(),
            _ => Ipv6Addr::from_bits(at).to_string(),
        };
        Value::String(format!("{address}/{}", width - bits))
    });
    Ok(blocks.collect())
}
