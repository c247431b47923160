package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/scheme"
)

// MemcachedSpec is what somebody asks for.
type MemcachedSpec struct {
	Size int32 `json:"size"`
}

// MemcachedState is the outcome in one word and one sentence.
type MemcachedState struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// MemcachedStatus is what was seen.
type MemcachedStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Nodes              []string           `json:"nodes,omitempty"`
	State              *MemcachedState    `json:"state,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// Memcached is the custom resource.
type Memcached struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MemcachedSpec   `json:"spec,omitempty"`
	Status MemcachedStatus `json:"status,omitempty"`
}

// MemcachedList is a list of them.
type MemcachedList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Memcached `json:"items"`
}

var (
	groupVersion  = schema.GroupVersion{Group: "cache.example.com", Version: "v1alpha1"}
	schemeBuilder = &scheme.Builder{GroupVersion: groupVersion}
)

// What controller-gen would write.

// DeepCopyInto copies the receiver.
func (in *Memcached) DeepCopyInto(out *Memcached) {
	*out = *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if in.Status.Nodes != nil {
		out.Status.Nodes = append([]string{}, in.Status.Nodes...)
	}
	if in.Status.State != nil {
		state := *in.Status.State
		out.Status.State = &state
	}
	if in.Status.Conditions != nil {
		out.Status.Conditions = make([]metav1.Condition, len(in.Status.Conditions))
		for i := range in.Status.Conditions {
			in.Status.Conditions[i].DeepCopyInto(&out.Status.Conditions[i])
		}
	}
}

// DeepCopy copies the receiver.
func (in *Memcached) DeepCopy() *Memcached {
	out := new(Memcached)
	in.DeepCopyInto(out)
	return out
}

// DeepCopyObject copies the receiver.
func (in *Memcached) DeepCopyObject() runtime.Object { return in.DeepCopy() }

// DeepCopyObject copies the receiver.
func (in *MemcachedList) DeepCopyObject() runtime.Object {
	out := &MemcachedList{TypeMeta: in.TypeMeta, ListMeta: in.ListMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, Memcached{})
		in.Items[i].DeepCopyInto(&out.Items[i])
	}
	return out
}
