"""Errors that operations answer although their service model does not declare them, each list with its source.

The main function is `common`. What an operation declares stands in botocore's model, and not here.
"""

# https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/common-errors.html (all services), and
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html
EVERYWHERE = {
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature", "InternalFailure",
    "MalformedHttpRequestException", "NotAuthorized", "OptInRequired", "RequestAbortedException",
    "RequestEntityTooLargeException", "RequestExpired", "RequestTimeoutException", "ServiceUnavailable",
    "ThrottlingException", "UnknownOperationException", "UnrecognizedClientException",
}

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html: what the front of a service
# that speaks JSON answers before the service itself.
# https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: SerializationException, for a body that is not the input.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html: InvalidSignatureException.
# https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization: ValidationException, for
# an input that breaks the model's constraints (smithy.framework#ValidationException).
OF_JSON = {
    "IncompleteSignatureException", "InvalidSignatureException", "MissingAuthenticationTokenException",
    "SerializationException", "ValidationException",
}

# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html, of every service that began with Query.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html: SignatureDoesNotMatch.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html: AccessDenied.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html: ExpiredToken; botocore's retries/standard.py:
# Throttling. https://github.com/aws/aws-sdk-cpp/issues/27: MalformedInput, for a value that is not of its type.
OF_QUERY = {
    "AccessDenied", "ExpiredToken", "InvalidAction", "InvalidClientTokenId", "InvalidParameterCombination",
    "InvalidParameterValue", "InvalidQueryParameter", "MalformedInput", "MalformedQueryString", "MissingAction",
    "MissingAuthenticationToken", "MissingParameter", "SignatureDoesNotMatch", "Throttling", "ValidationError",
}

# Of one service, whatever the operation, or of one of its operations (`service` or `service:Operation` → codes), where
# AWS's documentation tells of an error that the model leaves out. EC2's model declares none at all: its codes belong
# here, from https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
UNDECLARED = {
    # moto/kms/exceptions.py of moto 5.2.5: what AWS answers to an alias that begins with `alias/aws/`.
    "kms:CreateAlias": {"NotAuthorizedException"},
    "ec2": {
        "AuthFailure", "IdempotentParameterMismatch", "IncorrectInstanceState", "InsufficientInstanceCapacity",
        "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidGroup.NotFound", "InvalidID",
        "InvalidInstanceID.NotFound", "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound",
        "InvalidLaunchTemplateName.NotFoundException", "InvalidSnapshot.InUse", "InvalidSnapshot.NotFound",
        "InvalidSubnetID.NotFound", "OperationNotPermitted", "RequestLimitExceeded", "TagLimitExceeded",
        "UnauthorizedOperation", "UnknownParameter",
    },
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; an answer without a body has the status alone.
    "s3": {"404", "AccessDenied", "NoSuchBucket", "NoSuchKey", "NoSuchVersion"},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
    "cloudformation": {"AlreadyExistsException", "ChangeSetNotFound"},
    # internal/service/imagebuilder of hashicorp/terraform-provider-aws: what AWS answers where something "cannot be found".
    "imagebuilder": {"ResourceNotFoundException"},
}


# Words that AWS answers though the model's enum has them not (shape → words), each with its source.
WORDS = {
    # The events of a stack itself have the words of `StackStatus`:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    "ResourceStatus": {
        "REVIEW_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    },
}


def common(operation):
    """The codes that this operation may answer without declaring them."""
    service = operation.service_model
    query = service.is_query_compatible or service.resolved_protocol in ("query", "ec2")
    codes = EVERYWHERE | (OF_QUERY if query else set())
    if service.resolved_protocol not in ("query", "ec2"):
        codes |= OF_JSON
    name = service.service_name
    return codes | UNDECLARED.get(name, set()) | UNDECLARED.get(f"{name}:{operation.name}", set())
