"""Asks AWS again and again who is asking, in one process. usage: calls_boto3.py ENDPOINT TIMES"""

import sys

import boto3

sts = boto3.client("sts", region_name="us-west-2", endpoint_url=sys.argv[1])
for _ in range(int(sys.argv[2])):
    sts.get_caller_identity()
