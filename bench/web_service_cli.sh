#!/usr/bin/env bash
# The pipeline of web-service.toml as a script on the AWS CLI: the same calls in the same order, the same poll intervals.
#
# usage: web_service_cli.sh ENDPOINT COMMIT
#
# Needs aws and jq. Each call is printed as `call SERVICE:OPERATION`, those of STS aside.
set -euo pipefail

export AWS_ENDPOINT_URL=$1 AWS_DEFAULT_REGION=us-west-2 AWS_PAGER=
commit=$2
bake_microseconds=1000

# The operation is the command's name without its hyphens; the answer is left in $answer.
call() {
    local operation=
    for word in ${2//-/ }; do operation+=${word^}; done
    echo "call $1:$operation"
    answer=$(aws "$@" --output json)
}
pick() { jq --raw-output "$@" <<<"$answer"; }
give_up() { echo "$*" >&2; exit 1; }

aws sts get-caller-identity >/dev/null
call secretsmanager get-secret-value --secret-id prod/registry

# build
call ecr describe-repositories --repository-names web
uri=$(pick '.repositories[0].repositoryUri')
if call ecr describe-images --repository-name web --image-ids "imageTag=$commit" 2>/dev/null; then
    give_up "the tag web:$commit exists already"
fi
call codebuild start-build --project-name web-image --source-version "$commit" --environment-variables-override \
    name=REGISTRY_TOKEN,value=prod/registry:token,type=SECRETS_MANAGER \
    "name=IMAGE_URI,value=$uri:$commit,type=PLAINTEXT" \
    name=IMAGE_REPO_NAME,value=web,type=PLAINTEXT "name=IMAGE_TAG,value=$commit,type=PLAINTEXT"
build=$(pick .build.id)
while true; do
    call codebuild batch-get-builds --ids "$build"
    status=$(pick '.builds[0].buildStatus')
    [ "$status" = IN_PROGRESS ] || break
    sleep 10
done
[ "$status" = SUCCEEDED ] || give_up "the build ended as $status"
call ecr describe-images --repository-name web --image-ids "imageTag=$commit"
digest=$(pick '.imageDetails[0].imageDigest')
call ecr describe-images --repository-name web --image-ids "imageDigest=$digest"
pick --exit-status --arg tag "$commit" '.imageDetails[0].imageTags | index($tag) != null' >/dev/null || give_up "the tag was moved"
image=$uri@$digest

# scan
call ecr batch-get-image --repository-name web --image-ids "imageDigest=$digest"
pick --exit-status '.images[0].imageManifest | fromjson | has("manifests") | not' >/dev/null || give_up "the image is an index"
call ecr batch-get-repository-scanning-configuration --repository-names web
while true; do
    call ecr describe-image-scan-findings --repository-name web --image-id "imageDigest=$digest"
    status=$(pick .imageScanStatus.status)
    [ "$status" = IN_PROGRESS ] || break
    sleep 10
done
bad=$(pick '.imageScanFindings.findingSeverityCounts | (.CRITICAL // 0) + (.HIGH // 0)')
[ "$status $bad" = "COMPLETE 0" ] || give_up "the scan closes the gate: $status, $bad findings"

# deploy
credentials=$(aws sts assume-role --role-arn arn:aws:iam::111111111111:role/deployer --role-session-name script)
AWS_ACCESS_KEY_ID=$(jq -r .Credentials.AccessKeyId <<<"$credentials")
AWS_SECRET_ACCESS_KEY=$(jq -r .Credentials.SecretAccessKey <<<"$credentials")
AWS_SESSION_TOKEN=$(jq -r .Credentials.SessionToken <<<"$credentials")
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN

call ecs describe-services --cluster web --services web
before=$(pick '.services[0].taskDefinition')
call ecs describe-task-definition --task-definition "$before" --include TAGS
document=$(pick --arg image "$image" '.taskDefinition
    | del(.taskDefinitionArn, .revision, .status, .requiresAttributes, .compatibilities, .registeredAt, .registeredBy)
    | (.containerDefinitions[] | select(.name == "app") | .image) = $image')
call ecs describe-task-definition --task-definition "$(jq -r .family <<<"$document")" --include TAGS
newest=$(pick .taskDefinition.taskDefinitionArn)
[ "$newest" = "$before" ] || echo "$newest is newer than the revision that serves" >&2
call ecs register-task-definition --cli-input-json "$document"
target=$(pick .taskDefinition.taskDefinitionArn)
call ecs list-service-deployments --cluster web --service web
earlier=$(pick --compact-output '[.serviceDeployments[].serviceDeploymentArn]')
call ecs update-service --cluster web --service web --task-definition "$target"
call ecr batch-get-image --repository-name web --image-ids "imageDigest=$digest"
followed=
while true; do
    call ecs describe-services --cluster web --services web
    rollout=$(pick '.services[0].deployments[0].rolloutState')
    if [ -z "$followed" ]; then
        call ecs list-service-deployments --cluster web --service web
        new=$(pick --argjson earlier "$earlier" '[.serviceDeployments[] | select(.serviceDeploymentArn | IN($earlier[]) | not)][0]')
        call ecs describe-service-revisions --service-revision-arns "$(jq -r .targetServiceRevisionArn <<<"$new")"
        if [ "$(pick '.serviceRevisions[0].taskDefinition')" = "$target" ]; then
            followed=$(jq -r .serviceDeploymentArn <<<"$new")
        fi
    fi
    call ecs describe-service-deployments --service-deployment-arns "$followed"
    status=$(pick '.serviceDeployments[0].status')
    [ "$status $rollout" != "SUCCESSFUL COMPLETED" ] || break
    case $status in
        PENDING | IN_PROGRESS | SUCCESSFUL) sleep 10 ;;
        *) give_up "the deployment ended as $status" ;;
    esac
done
call ecs list-tasks --cluster web --service-name web --desired-status RUNNING
mapfile -t tasks < <(pick '.taskArns[]')
call ecs describe-tasks --cluster web --tasks "${tasks[@]}"
running=$(pick '[.tasks[].containers[] | select(.name == "app") | .imageDigest] | unique | join(" ")')
[ "$running" = "$digest" ] || give_up "tasks run $running"

# verify
began=${EPOCHREALTIME/./}
while true; do
    call cloudwatch describe-alarms --alarm-names web-5xx --alarm-types MetricAlarm CompositeAlarm
    state=$(pick '.MetricAlarms[0].StateValue')
    [ "$state" = OK ] || give_up "the alarm is in $state"
    [ $((${EPOCHREALTIME/./} - began)) -lt "$bake_microseconds" ] || break
    sleep 15
done

# cleanup
call ecr describe-repositories --repository-names web
call ecr describe-images --repository-name web
images=$answer
limit=$(date --date '30 days ago' +%s)

# What runs, and what may be started: by services, other task definitions, rules, schedules and functions.
images_of() {
    local definition
    for definition in "$@"; do
        call ecs describe-task-definition --task-definition "$definition"
        used+=$'\n'$(pick '.taskDefinition.containerDefinitions[].image | split("@")[1] // empty')
    done
}
call ecs list-tasks --cluster web --desired-status RUNNING
mapfile -t tasks < <(pick '.taskArns[]')
call ecs describe-tasks --cluster web --tasks "${tasks[@]}"
used=$(pick '.tasks[].containers[].imageDigest // empty')$'\n'$digest
call ecs list-services --cluster web
mapfile -t services < <(pick '.serviceArns[]')
call ecs describe-services --cluster web --services "${services[@]}"
mapfile -t served < <(pick '[.services[] | .taskDefinition, .deployments[].taskDefinition] | unique[]')
images_of "${served[@]}"
call ecs list-task-definitions --status ACTIVE
mapfile -t started < <(pick --arg served "${served[*]}" '
    def family: split(":")[:-1] | join(":");
    ($served | split(" ") | map(family)) as $families
    | [.taskDefinitionArns[] | {family: family, name: .}] | group_by(.family)[] | last
    | select(.family | IN($families[]) | not) | .name')
call events list-event-buses
for bus in $(pick '.EventBuses[].Name'); do
    call events list-rules --event-bus-name "$bus"
    for rule in $(pick '.Rules[].Name'); do
        call events list-targets-by-rule --event-bus-name "$bus" --rule "$rule"
        mapfile -t -O "${#started[@]}" started < <(pick '.Targets[].EcsParameters.TaskDefinitionArn // empty')
    done
done
call scheduler list-schedules
for schedule in $(pick '.Schedules[] | "\(.GroupName)/\(.Name)"'); do
    call scheduler get-schedule --group-name "${schedule%%/*}" --name "${schedule#*/}"
    mapfile -t -O "${#started[@]}" started < <(pick '.Target.EcsParameters.TaskDefinitionArn // empty')
done
images_of "${started[@]}"
call lambda list-functions --function-version ALL
for function in $(pick '.Functions[] | select(.PackageType == "Image") | "\(.FunctionName):\(.Version)"'); do
    call lambda get-function --function-name "${function%:*}" --qualifier "${function##*:}"
    used+=$'\n'$(pick '.Code.ResolvedImageUri | split("@")[1] // empty')
done
used=$(jq --raw-input --null-input '[inputs]' <<<"$used")

doomed=$(jq --argjson used "$used" --argjson limit "$limit" '
    # Version 1 of the CLI writes seconds with a fraction, version 2 ISO 8601.
    def seconds: if type == "number" then . else .[:19] + "Z" | fromdate end;
    [.imageDetails | sort_by(.imagePushedAt | seconds) | reverse | .[10:][]
     | select((.imagePushedAt | seconds) < $limit and (.imageDigest | IN($used[]) | not))
     | {imageDigest, imageTags}]' <<<"$images")
# Those that go once more right before they do, as the plugin does: who gave one a tag meanwhile wants to keep it.
call ecr describe-images --repository-name web --image-ids "$(jq --compact-output 'map({imageDigest})' <<<"$doomed")"
ids=$(pick --compact-output --argjson doomed "$doomed" '
    [.imageDetails[] | {imageDigest, imageTags} | select(IN($doomed[])) | {imageDigest}]')
call ecr batch-delete-image --repository-name web --image-ids "$ids"
[ "$(pick '.failures | length')" = 0 ] || give_up "not deleted: $answer"
