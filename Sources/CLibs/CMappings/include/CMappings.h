#pragma once
#include <stdbool.h>
#include <stddef.h>

// A mapped file that another program makes shorter raises SIGBUS where a byte that is gone is read, which ends the process. Here
// such reads give zeros instead, and the mapping is marked, so that the work fails with an error that names the file. Swift has no
// signal handlers: what one may call is C.

/// A watched mapping.
typedef struct wc_mapping wc_mapping;

/// Watches over a mapping until `wc_unwatch`.
///
/// - Parameters:
///   - start: its first byte.
///   - length: its bytes, at least 1.
///   - path: the file's, which is copied.
/// - Returns: NULL where there is no memory; then the mapping is as any other.
wc_mapping *_Nullable wc_watch(const void *_Nonnull start, size_t length, const char *_Nonnull path);

/// Whether bytes of the file were gone when they were read.
bool wc_is_torn(const wc_mapping *_Nonnull mapping);

/// Ends watching; before the mapping itself ends.
void wc_unwatch(wc_mapping *_Nonnull mapping);

/// The path of a file of which `wc_is_torn` was true, at any time in this process; NULL where there is none.
const char *_Nullable wc_torn_path(void);
