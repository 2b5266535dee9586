"""Asks model servers over OpenAI's API, and measures how fast they answer.

A way (`outside`, `inside`) sends a request and notes when each piece of the reply came; `reading`
makes an answer of that, and `load` asks many times at once. The check `llm` and `phoenix bench
llm` use the same.
"""
