package handler_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
	"gorgonia.org/tensor"
)

func TestDenseSharesMemory(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	ts := handler.Tensors{{Name: "x", Shape: []int{2, 3}, Data: data}}
	d, err := ts.Dense(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetAt(float32(40), 1, 0); err != nil {
		t.Fatal(err)
	}
	if data[3] != 40 {
		t.Errorf("the write did not reach the tensor: %v", data)
	}
	back, err := handler.FromDense("x", d)
	if err != nil {
		t.Fatal(err)
	}
	back.Data.([]float32)[0] = 7
	if data[0] != 7 {
		t.Error("FromDense copied a row-major tensor")
	}
}

func TestEveryTypeThatGorgoniaHasCrossesTheBorder(t *testing.T) {
	for _, data := range []any{[]float32{1, 2}, []float64{1, 2}, []int64{1, 2}, []int32{1, 2}, []int16{1, 2}, []int8{1, 2},
		[]uint64{1, 2}, []uint32{1, 2}, []uint16{1, 2}, []uint8{1, 2}, []bool{true, false}, []string{"a", "b"}} {
		for _, shape := range [][]int{{2}, {1, 2}, {2, 1}} {
			in := runtime.Tensor{Name: "x", Shape: shape, Data: data}
			d, err := handler.Tensors{in}.Dense(0)
			if err != nil {
				t.Errorf("%T: %v", data, err)
				continue
			}
			out, err := handler.FromDense("x", d)
			if err != nil || !reflect.DeepEqual(in, out) {
				t.Errorf("%T %v came back as %v, %v", data, shape, out, err)
			}
		}
	}
}

func TestScalarsStayScalars(t *testing.T) {
	d, err := handler.Tensors{{Name: "x", Data: []int64{42}}}.Dense(0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := handler.FromDense("x", d)
	if err != nil || out.Shape != nil || !reflect.DeepEqual(out.Data, []int64{42}) {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestOtherLayoutsAreCopiedIntoRowMajorOrder(t *testing.T) {
	want := []float64{1, 2, 3, 4, 5, 6}
	colMajor := tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float64{1, 2, 3, 4, 5, 6}))

	transposed := tensor.New(tensor.WithShape(3, 2), tensor.WithBacking([]float64{1, 4, 2, 5, 3, 6}))
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	whole := tensor.New(tensor.WithShape(2, 4), tensor.WithBacking([]float64{1, 2, 3, 0, 4, 5, 6, 0}))
	view, err := whole.Slice(nil, tensor.S(0, 3))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*tensor.Dense{"column-major": colMajor, "transposed": transposed, "view": view.(*tensor.Dense)} {
		got, err := handler.FromDense("x", d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got.Shape, []int{2, 3}) || !reflect.DeepEqual(got.Data, want) {
			t.Errorf("%s: got %v %v", name, got.Shape, got.Data)
		}
	}
}

func TestWhatGorgoniaDoesNotHaveIsAnErrorThatSaysSo(t *testing.T) {
	for _, c := range []struct {
		in   runtime.Tensor
		want string
	}{
		{runtime.Tensor{Name: "x", Shape: []int{0, 3}, Data: []float32{}}, "no elements"},
		{runtime.Tensor{Name: "x", Shape: []int{1}, Data: []runtime.F16{0}}, "float16"},
		{runtime.Tensor{Name: "x", Shape: []int{3}, Data: []float32{1}}, "3 elements"},
		{runtime.Tensor{Name: "x", Data: []runtime.Map{}}, "no tensor"},
	} {
		if _, err := (handler.Tensors{c.in}).Dense(0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q in it", c.in, err, c.want)
		}
	}
	if _, err := (handler.Tensors{}).Dense(0); err == nil {
		t.Error("Dense(0) of nothing")
	}
	if _, err := handler.FromDense("x", nil); err == nil {
		t.Error("FromDense(nil)")
	}
}
