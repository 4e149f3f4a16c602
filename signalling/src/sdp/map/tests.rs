//! Whole descriptions.

use super::*;
use crate::sdp::{corpus, write};

#[test]
fn probe() {
    for (name, text, lines) in corpus::descriptions() {
        if name.contains("fragment") {
            continue;
        }
        let party = if name.contains("responder") { Party::Responder } else { Party::Initiator };
        match from_sdp(lines, party, None) {
            Ok((description, warnings)) => {
                let (again, more) = to_sdp(&description);
                if std::env::var("SHOW").is_ok_and(|show| name.contains(&show)) {
                    println!("{text}\n-----\n{}", write(&again));
                }
                for warning in warnings {
                    println!("{name}: {warning}");
                }
                for warning in more {
                    println!("{name}: OUT {warning}");
                }
                assert!(
                    crate::sdp::parse(&write(&again)).unwrap() == again.clone() || {
                        println!("{name}: REPARSE");
                        true
                    }
                );
            }
            Err(error) => println!("{name}: ERROR {error}"),
        }
    }
}
