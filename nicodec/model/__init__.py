"""A model file, and the runtime that computes its networks without torch.

Between .nicmodel files and `coding`.
"""
