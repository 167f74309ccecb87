"""DuckLake adapter: one writer per lake, readers in any process. See README.md."""
