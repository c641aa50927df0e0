"""Parameters, paths, progress, and how a stage starts and ends. Never a dependency in dvc.yaml."""
