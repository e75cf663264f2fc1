"""The exporters beside opentelemetry.sdk, under the names and with the arguments that their users know.

What is left out of the arguments comes from the environment, as theirs does. In a BatchSpanProcessor of ours they take
the native path; called with a sequence of spans, as the SDK's interface has it, they deliver on the calling thread.
"""
