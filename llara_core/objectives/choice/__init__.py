"""Objective `choice`: a prompt with candidates is read once, and a pointer from its end chooses one of them.

▢_c, the token behind candidate c, is its projected item vector (hybrid, id) or a line's end (text). With s the language
model's state at the prompt's end and s_c that at ▢_c, both are brought into the recommender's space, where a user state
and an item vector are compared:

    loss = −log softmax_c((U s + u) · (V s_c + v))[target]
"""
