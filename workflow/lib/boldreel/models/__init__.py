"""Networks that several stages use: plain modules, which know neither files nor configuration."""
