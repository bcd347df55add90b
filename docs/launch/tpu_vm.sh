#!/usr/bin/env bash
# Trains on a Cloud TPU slice by a queued resource. Written after Google's documentation, not run here.
#   PROJECT=p ZONE=us-west4-a TYPE=v5litepod-16 BUCKET=b bash tpu_vm.sh
set -euo pipefail
: "${PROJECT:?}" "${ZONE:?}" "${TYPE:?}" "${BUCKET:?}"
NAME=${NAME:-fashion-jax}
CONFIG=${CONFIG:-street2shop_resnet50}

gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" --project="$PROJECT" \
  --zone="$ZONE" --accelerator-type="$TYPE" --runtime-version=v2-alpha-tpuv5-lite

until gcloud compute tpus queued-resources describe "$NAME" --project="$PROJECT" --zone="$ZONE" \
  --format='value(state.state)' | grep -q ACTIVE; do sleep 30; done

on_all_hosts() {
  gcloud compute tpus tpu-vm ssh "$NAME" --project="$PROJECT" --zone="$ZONE" --worker=all --command="$1"
}

on_all_hosts "python3 -m venv fj && fj/bin/pip install -q 'fashion-jax[tpu]'"
# Each host needs the dataset under the same path; the first one writes the run.
on_all_hosts "mkdir -p data && gcloud storage rsync -r gs://$BUCKET/data data"
on_all_hosts "fj/bin/fashion-jax doctor --config=$CONFIG"
# Logs: the terminal, and runs/pod on host 0. To resume after an interruption, run this line again.
on_all_hosts "fj/bin/fashion-jax train --config=$CONFIG --workdir=runs/pod"
