//! Functions of a library that is opened at run time: a peer that is missing costs its columns, not the build.

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(non_snake_case, reason = "the names of the C interface")]
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            _library: libloading::os::unix::Library,
        }

        impl Functions {
            /// The names in an opened library.
            fn load(library: libloading::os::unix::Library) -> Result<Functions, String> {
                // SAFETY: the types are those of the library's header.
                unsafe {
                    Ok(Functions {
                        $($name: *library
                            .get(concat!(stringify!($name), "\0").as_bytes())
                            .map_err(|error| error.to_string())?,)*
                        _library: library,
                    })
                }
            }
        }
    };
}

pub(crate) use functions;
