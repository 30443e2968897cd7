// Package torchsave writes checkpoints as PyTorch's torch.save does, with everything else that
// the reference training scripts put in their files: the optimizer's state, a gradient scaler,
// an argparse.Namespace, half-precision weights in a DeepSpeed container. Tests and
// measurements use such files, of any size, instead of the released ones.
//
//	src, err := checkpoint.Seeded(7, tensors)
//	err = torchsave.WriteFile("base.pth", src, torchsave.Options{Style: torchsave.Finetune})
//	again, err := checkpoint.OpenFile("base.pth") // the same tensors
//
// A [Style] is the content of a file; [Options] choose the zip archive of PyTorch 1.6 and
// later, or the legacy stream. Tensors are streamed from their source, so a file of any size
// needs little memory. The same source gives the same bytes.
//
// ir/checkpoint reads the files. The package is for tests and for multiway's own commands;
// users should save safetensors.
package torchsave
