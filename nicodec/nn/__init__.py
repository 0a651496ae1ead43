"""The networks in torch: the same weights as the runtime's, for training alone.

Under `train`, beside the rooms that a codec needs. Importing this loads no torch.
"""
