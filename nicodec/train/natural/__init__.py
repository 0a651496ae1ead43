"""The layers of g_s that paint the natural picture: learnt from latents with draws in them, added to a finished model.

Beside `run`; its door is `python -m nicodec.train.natural`. `pool` codes and draws, `texture` is the loss, `learner`
learns, `run` does all in order; `export.natural` writes the file.
"""
