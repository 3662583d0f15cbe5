#!/usr/bin/env bash
# The pipeline of pipelines/web-service.toml, walked by hand with the AWS CLI against `kiln sim`.
#
# Usage: walk.sh URL COMMIT. KILN_PYTHON is a Python with awscli. No step sleeps: a call takes simulated minutes.
set -euo pipefail

url=$1 commit=$2
python=${KILN_PYTHON:-python3}
export AWS_ENDPOINT_URL=$url AWS_REGION=us-west-2 AWS_DEFAULT_REGION=us-west-2 AWS_DEFAULT_OUTPUT=text AWS_PAGER=""
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
unset AWS_PROFILE AWS_SESSION_TOKEN

aws() { "$python" -m awscli "$@"; }
fail() { echo "$*" >&2; exit 1; }

# The simulated time in seconds.
now() { "$python" -c 'import json,sys,urllib.request as u; print(json.load(u.urlopen(sys.argv[1] + "/_kiln/clock"))["now-milliseconds"] // 1000)' "$url"; }

# Ask until the answer is none of the ones that mean to wait; print it.
settled() {
    local waiting=$1 answer; shift
    for _ in $(seq 600); do
        answer=$("$@")
        case " $waiting " in *" $answer "*) ;; *) echo "$answer"; return ;; esac
    done
    fail "it did not settle: $*"
}

# build
registry=$(aws ecr describe-repositories --repository-names web --query 'repositories[0].repositoryUri')
build=$(aws codebuild start-build --project-name web-image --source-version "$commit" \
    --idempotency-token "walk-$commit" --environment-variables-override \
    "name=IMAGE_REPO_NAME,value=web" "name=IMAGE_TAG,value=$commit" "name=IMAGE_URI,value=$registry:$commit" \
    "name=REGISTRY_TOKEN,value=prod/registry:token,type=SECRETS_MANAGER" --query build.id)
status=$(settled IN_PROGRESS aws codebuild batch-get-builds --ids "$build" --query 'builds[0].buildStatus')
[ "$status" = SUCCEEDED ] || fail "the build is $status"
digest=$(aws ecr describe-images --repository-name web --image-ids imageTag="$commit" --query 'imageDetails[0].imageDigest')

# scan
findings() { aws ecr describe-image-scan-findings --repository-name web --image-id imageDigest="$digest" --query "$1"; }
status=$(settled "PENDING IN_PROGRESS" findings imageScanStatus.status)
[ "$status" = COMPLETE ] || fail "the scan is $status"
grave=$(findings 'length(imageScanFindings.findings[?severity==`HIGH` || severity==`CRITICAL`])')
[ "$grave" = 0 ] || fail "$grave grave findings"

# deploy, in the role of the environment
read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN < <(aws sts assume-role \
    --role-arn arn:aws:iam::111111111111:role/deployer --role-session-name walk \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]')
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
serving=$(aws ecs describe-services --cluster web --services web --query 'services[0].taskDefinition')
definition=$(aws ecs describe-task-definition --task-definition "$serving" --output json --query taskDefinition |
    "$python" -c '
import json, sys
definition = json.load(sys.stdin)
for own in ("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy"):
    definition.pop(own, None)
for container in definition["containerDefinitions"]:
    if container["name"] == "app":
        container["image"] = sys.argv[1]
print(json.dumps(definition))' "$registry@$digest")
revision=$(aws ecs register-task-definition --cli-input-json "$definition" --query taskDefinition.taskDefinitionArn)
aws ecs update-service --cluster web --service web --task-definition "$revision" --query service.status > /dev/null
status=$(settled "None PENDING IN_PROGRESS" aws ecs list-service-deployments --cluster web --service web \
    --query 'serviceDeployments[0].status')
[ "$status" = SUCCESSFUL ] || fail "the deployment is $status"
serving=$(aws ecs describe-services --cluster web --services web --query 'services[0].taskDefinition')
[ "$serving" = "$revision" ] || fail "$serving serves, and not $revision"

# verify: ten minutes without an alarm
began=$(now)
while [ $(($(now) - began)) -lt 600 ]; do
    state=$(aws cloudwatch describe-alarms --alarm-names web-5xx --query 'MetricAlarms[0].StateValue')
    [ "$state" = OK ] || fail "web-5xx is $state"
done

# cleanup: what is tagged, beyond the ten newest and older than thirty days, and not in use
tasks=$(aws ecs list-tasks --cluster web --query 'taskArns')
# shellcheck disable=SC2086 # one word a task
used=$(aws ecs describe-tasks --cluster web --tasks $tasks --query 'tasks[].containers[].imageDigest')
old=$(aws ecr describe-images --repository-name web --output json --query 'imageDetails[?imageTags]' |
    "$python" -c '
import datetime, json, sys
now, used = float(sys.argv[1]), sys.argv[2].split()
def pushed(image):
    # The first version of the CLI writes seconds, the second one ISO 8601.
    at = image["imagePushedAt"]
    return datetime.datetime.fromisoformat(at).timestamp() if isinstance(at, str) else at
images = sorted(json.load(sys.stdin), key=pushed, reverse=True)
old = [image["imageDigest"] for image in images[10:] if now - pushed(image) > 30 * 86400]
print(*("imageDigest=" + digest for digest in old if digest not in used))' "$(now)" "$used")
# shellcheck disable=SC2086 # one word an image
failures=$(aws ecr batch-delete-image --repository-name web --image-ids $old --query 'length(failures)')
[ "$failures" = 0 ] || fail "$failures images could not be deleted"
echo "done"
