"""What a call may ask the host for: one module for each thing that a plugin may want. The build imports those that the
plugin's plugin.toml names."""
