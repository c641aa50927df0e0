"""DPO training: the trainer, batches, checkpoints, processes, what is watched."""
