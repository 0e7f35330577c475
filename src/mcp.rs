//! Names and shapes of the Model Context Protocol: methods, versions and eras, `_meta` keys, headers,
//! error codes, views over raw tools and results. Pure.
