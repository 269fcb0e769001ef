"""Objective `stream`: a history is read once, and the state behind every item predicts the one that follows.

▢_t, the token behind title t, is the projected item vector (hybrid) or a line's end (text). With s_t the language
model's state there, h_t = W s_t + b the user state in the recommender's space, and v_i its item vectors:

    loss = −Σ_t log softmax_i(h_t · v_i)[item t + 1]

A chunk of 24 items costs as many tokens as one prompt with 20 candidates, and gives 24 targets over the whole catalogue
instead of one among 20. Related: ST2SI (COLING 2025), HLLM (arXiv 2409.12740), DTI (arXiv 2503.01001).
"""
