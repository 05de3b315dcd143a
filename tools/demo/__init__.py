"""Parts of ``tools/make_demo.py``: the data, the model, the trainings."""
