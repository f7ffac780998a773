// Package kstatus checks how kstatus, the library that Flux uses and that Argo CD's health checks resemble, interprets
// each status in the golden files of crates/desired.
package kstatus

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

const golden = "../../crates/desired/tests/golden/status"

func TestKstatusAgreesWithTheConditions(t *testing.T) {
	files, err := filepath.Glob(golden + "/*/*/status.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d golden statuses: %v", len(files), err)
	}
	seen := map[status.Status]int{}
	for _, file := range files {
		object := read(t, policyOf(filepath.Dir(file)))
		object["status"] = read(t, file)
		wanted := wanted(t, object)
		result, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if result.Status != wanted {
			t.Errorf("%s: kstatus says %s (%s), not %s", file, result.Status, result.Message, wanted)
		}
		seen[result.Status]++
	}
	for _, one := range []status.Status{status.CurrentStatus, status.FailedStatus} {
		if seen[one] == 0 {
			t.Errorf("no golden status is %s", one)
		}
	}
}

// A policy without a reconcile must not be ready: without the CRD's default status, Flux would regard it as healthy.
func TestUnreconciledPolicyIsInProgress(t *testing.T) {
	crd := read(t, "../../crds/backuppolicies.pgbackup.dev.yaml")
	versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
	if err != nil {
		t.Fatal(err)
	}
	fresh, found, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "status", "default")
	if err != nil || !found {
		t.Fatalf("the status has no default: %v", err)
	}
	object := read(t, golden+"/policy.yaml")
	object["status"] = fresh
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil || result.Status != status.InProgressStatus {
		t.Errorf("%v %v", result, err)
	}
}

// policyOf returns the policy of a case. A case without one uses that of the nearest parent folder.
func policyOf(folder string) string {
	policy := filepath.Join(folder, "policy.yaml")
	if _, err := os.Stat(policy); err != nil {
		return policyOf(filepath.Dir(folder))
	}
	return policy
}

// wanted returns the expected result. Stalled is a failure, Reconciling is progress, and everything else is current,
// even while backups fail, because the policy itself is applied.
func wanted(t *testing.T, object map[string]any) status.Status {
	t.Helper()
	conditions, _, err := unstructured.NestedSlice(object, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	is := func(kind, truth string) bool {
		for _, condition := range conditions {
			condition := condition.(map[string]any)
			if condition["type"] == kind && condition["status"] == truth {
				return true
			}
		}
		return false
	}
	switch {
	case is("Stalled", "True"):
		return status.FailedStatus
	case is("Reconciling", "True") || is("Ready", "False"):
		return status.InProgressStatus
	default:
		return status.CurrentStatus
	}
}

func read(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	// The API server's whole numbers are parsed as int64.
	return whole(object).(map[string]any)
}

func whole(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			value[key] = whole(inner)
		}
	case []any:
		for at, inner := range value {
			value[at] = whole(inner)
		}
	case float64:
		if value == float64(int64(value)) {
			return int64(value)
		}
	}
	return value
}
