"""AWS JSON 1.1 from service models in botocore's format, SigV4 both ways, and a small client.

It knows no pipelines, so that another AWS service could be served by the same code.
"""
