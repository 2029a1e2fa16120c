//! `talaria`, a Mercure hub.

#![forbid(unsafe_code)]

/// Many small allocations of many threads, freed by others, are what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    talaria_server::main()
}
