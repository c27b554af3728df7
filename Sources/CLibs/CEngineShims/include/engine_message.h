#pragma once

/// One line of text about what went wrong.
typedef struct {
    char text[512];
} wc_engine_message;
