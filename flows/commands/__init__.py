"""The command line, one file a group of commands; bodies import what they need when they run."""
