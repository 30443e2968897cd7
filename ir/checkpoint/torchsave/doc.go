// Package torchsave writes checkpoints as PyTorch's torch.save does, with what stands
// beside the weights in the files that the official training scripts leave: the
// optimizer's state, a gradient scaler, an argparse.Namespace, half weights in a
// DeepSpeed container. The released files are not to be had everywhere; tests and
// measurements take these instead, at any size.
//
//	src, err := checkpoint.Seeded(7, tensors)
//	err = torchsave.WriteFile("base.pth", src, torchsave.Options{Style: torchsave.Finetune})
//	again, err := checkpoint.OpenFile("base.pth") // the same tensors
//
// A [Style] is what is saved, [Options] say how: the zip archive of PyTorch 1.6 and
// later, or the legacy stream from before. Tensors stream from their source, so a
// file of any size needs little memory. The same source gives the same bytes.
//
// The package stands right of ir/checkpoint, which reads what it writes. It is for
// tests and for multiway's own commands; users save safetensors.
package torchsave
