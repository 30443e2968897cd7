package model

import "strings"

// architectures has the family and the sizes of models with a vision and a text tower, by the names in open_clip's
// configurations or in Chinese-CLIP's code, from which the sizes are taken.
var architectures = map[string]struct {
	family string
	sizes  Sizes
}{
	"ViT-B-32":          {"clip", clipSizes(visionB, 32, 224, 512, text512)},
	"ViT-B-32-256":      {"clip", clipSizes(visionB, 32, 256, 512, text512)},
	"ViT-B-16":          {"clip", clipSizes(visionB, 16, 224, 512, text512)},
	"ViT-B-16-plus-240": {"clip", clipSizes(TowerSizes{Dim: 896, Heads: 14, FFN: 3584, Layers: 12}, 16, 240, 640, TowerSizes{Dim: 640, Heads: 10, FFN: 2560, Layers: 12})},
	"ViT-L-14":          {"clip", clipSizes(visionL, 14, 224, 768, text768)},
	"ViT-L-14-336":      {"clip", clipSizes(visionL, 14, 336, 768, text768)},
	"ViT-H-14":          {"clip", clipSizes(visionH, 14, 224, 1024, text1024)},
	"ViT-H-14-378":      {"clip", clipSizes(visionH, 14, 378, 1024, text1024)},
	"ViT-g-14":          {"clip", clipSizes(TowerSizes{Dim: 1408, Heads: 16, FFN: 6144, Layers: 40}, 14, 224, 1024, text1024)},
	"ViT-bigG-14":       {"clip", clipSizes(visionBigG, 14, 224, 1280, text1280)},

	"ViT-H-14-worldwide":        {"clip", worldwide(visionH, 224, 1024, text1024)},
	"ViT-H-14-worldwide-378":    {"clip", worldwide(visionH, 378, 1024, text1024)},
	"ViT-bigG-14-worldwide":     {"clip", worldwide(visionBigG, 224, 1280, text1280)},
	"ViT-bigG-14-worldwide-378": {"clip", worldwide(visionBigG, 378, 1280, text1280)},

	"ViT-L-14-CLIPA":        {"clipa", clipaSizes(visionL, 224, 768, text768)},
	"ViT-L-14-CLIPA-336":    {"clipa", clipaSizes(visionL, 336, 768, text768)},
	"ViT-H-14-CLIPA":        {"clipa", clipaSizes(visionH, 224, 1024, text1024)},
	"ViT-H-14-CLIPA-336":    {"clipa", clipaSizes(visionH, 336, 1024, text1024)},
	"ViT-bigG-14-CLIPA":     {"clipa", clipaSizes(visionBigG, 224, 1280, text1280)},
	"ViT-bigG-14-CLIPA-336": {"clipa", clipaSizes(visionBigG, 336, 1280, text1280)},

	"ViT-B-16-SigLIP":          {"siglip", siglipSizes(visionB, 16, 224, text768, 32000, 64)},
	"ViT-B-16-SigLIP-256":      {"siglip", siglipSizes(visionB, 16, 256, text768, 32000, 64)},
	"ViT-B-16-SigLIP-384":      {"siglip", siglipSizes(visionB, 16, 384, text768, 32000, 64)},
	"ViT-B-16-SigLIP-512":      {"siglip", siglipSizes(visionB, 16, 512, text768, 32000, 64)},
	"ViT-B-16-SigLIP-i18n-256": {"siglip", siglipSizes(visionB, 16, 256, text768, 250000, 64)},
	"ViT-L-16-SigLIP-256":      {"siglip", siglipSizes(visionL, 16, 256, text1024, 32000, 64)},
	"ViT-L-16-SigLIP-384":      {"siglip", siglipSizes(visionL, 16, 384, text1024, 32000, 64)},
	"ViT-SO400M-14-SigLIP":     {"siglip", siglipSizes(towerSO400M, 14, 224, towerSO400M, 32000, 16)},
	"ViT-SO400M-14-SigLIP-384": {"siglip", siglipSizes(towerSO400M, 14, 384, towerSO400M, 32000, 64)},

	"ViT-B-32-SigLIP2-256":  {"siglip", siglipSizes(visionB, 32, 256, text768, 256000, 64)},
	"ViT-B-16-SigLIP2":      {"siglip", siglipSizes(visionB, 16, 224, text768, 256000, 64)},
	"ViT-B-16-SigLIP2-256":  {"siglip", siglipSizes(visionB, 16, 256, text768, 256000, 64)},
	"ViT-B-16-SigLIP2-384":  {"siglip", siglipSizes(visionB, 16, 384, text768, 256000, 64)},
	"ViT-B-16-SigLIP2-512":  {"siglip", siglipSizes(visionB, 16, 512, text768, 256000, 64)},
	"ViT-L-16-SigLIP2-256":  {"siglip", siglipSizes(visionL, 16, 256, text1024, 256000, 64)},
	"ViT-L-16-SigLIP2-384":  {"siglip", siglipSizes(visionL, 16, 384, text1024, 256000, 64)},
	"ViT-L-16-SigLIP2-512":  {"siglip", siglipSizes(visionL, 16, 512, text1024, 256000, 64)},
	"ViT-SO400M-14-SigLIP2": {"siglip", siglipSizes(towerSO400M, 14, 224, towerSO400M, 256000, 64)},
	// The configuration on the hub resizes pictures to 384 pixels a side, of which whole patches cover 378; open_clip resizes
	// to 378.
	"ViT-SO400M-14-SigLIP2-378": {"siglip", siglipSizes(towerSO400M, 14, 384, towerSO400M, 256000, 64)},
	"ViT-SO400M-16-SigLIP2-256": {"siglip", siglipSizes(towerSO400M, 16, 256, towerSO400M, 256000, 64)},
	"ViT-SO400M-16-SigLIP2-384": {"siglip", siglipSizes(towerSO400M, 16, 384, towerSO400M, 256000, 64)},
	"ViT-SO400M-16-SigLIP2-512": {"siglip", siglipSizes(towerSO400M, 16, 512, towerSO400M, 256000, 64)},
	"ViT-gopt-16-SigLIP2-256":   {"siglip", siglipSizes(visionGopt, 16, 256, towerSO400M, 256000, 64)},
	"ViT-gopt-16-SigLIP2-384":   {"siglip", siglipSizes(visionGopt, 16, 384, towerSO400M, 256000, 64)},

	"ViT-B-16@RoBERTa-wwm-ext-base-chinese":     {"cnclip", twoSizes(visionB, 16, 224, 512, text768, 21128, 512)},
	"ViT-L-14@RoBERTa-wwm-ext-base-chinese":     {"cnclip", twoSizes(visionL, 14, 224, 768, text768, 21128, 512)},
	"ViT-L-14-336@RoBERTa-wwm-ext-base-chinese": {"cnclip", twoSizes(visionL, 14, 336, 768, text768, 21128, 512)},
	"ViT-H-14@RoBERTa-wwm-ext-large-chinese":    {"cnclip", twoSizes(visionH, 14, 224, 1024, text1024, 21128, 512)},

	"xlm-roberta-base-ViT-B-32":  {"xlmrclip", twoSizes(visionB, 32, 224, 512, text768, 250002, 514)},
	"xlm-roberta-large-ViT-H-14": {"xlmrclip", twoSizes(visionH, 14, 224, 1024, text1024, 250002, 514)},
}

// The sizes of towers that several architectures have: vision towers, text towers, and towerSO400M, which is both.
var (
	visionB     = TowerSizes{Dim: 768, Heads: 12, FFN: 3072, Layers: 12}
	visionL     = TowerSizes{Dim: 1024, Heads: 16, FFN: 4096, Layers: 24}
	visionH     = TowerSizes{Dim: 1280, Heads: 16, FFN: 5120, Layers: 32}
	visionBigG  = TowerSizes{Dim: 1664, Heads: 16, FFN: 8192, Layers: 48}
	visionGopt  = TowerSizes{Dim: 1536, Heads: 16, FFN: 6144, Layers: 40}
	towerSO400M = TowerSizes{Dim: 1152, Heads: 16, FFN: 4304, Layers: 27}
	text512     = TowerSizes{Dim: 512, Heads: 8, FFN: 2048, Layers: 12}
	text768     = TowerSizes{Dim: 768, Heads: 12, FFN: 3072, Layers: 12}
	text1024    = TowerSizes{Dim: 1024, Heads: 16, FFN: 4096, Layers: 24}
	text1280    = TowerSizes{Dim: 1280, Heads: 20, FFN: 5120, Layers: 32}
)

// twoSizes returns the sizes of a model with the vision tower see and the text tower read, without their activations. patch
// and image are sides in pixels, embed is the width of embeddings, and positions the number of rows of the text's position
// table.
func twoSizes(see TowerSizes, patch, image, embed int, read TowerSizes, vocab, positions int) Sizes {
	return Sizes{
		Dim: see.Dim, Heads: see.Heads, FFN: see.FFN, Layers: see.Layers, Image: image, Patch: patch, Channels: 3,
		Vocab: vocab, Positions: positions, Eps: 1e-5, Embed: embed, Text: read,
	}
}

func clipSizes(see TowerSizes, patch, image, embed int, read TowerSizes) Sizes {
	return twoSizes(see, patch, image, embed, read, 49408, 77)
}

// worldwide returns the sizes of a MetaCLIP 2 model.
func worldwide(see TowerSizes, image, embed int, read TowerSizes) Sizes {
	return twoSizes(see, 14, image, embed, read, 901629, 77)
}

func clipaSizes(see TowerSizes, image, embed int, read TowerSizes) Sizes {
	return twoSizes(see, 14, image, embed, read, 32000, 32)
}

func siglipSizes(see TowerSizes, patch, image int, read TowerSizes, vocab, positions int) Sizes {
	s := twoSizes(see, patch, image, see.Dim, read, vocab, positions)
	s.Eps = 1e-6
	return s
}

// towerPreset is a released checkpoint of a model with two towers.
type towerPreset struct {
	hub        string // owner/name on the model hub, without an owner a name alone; see presetName
	arch       string // key of architectures
	tag        string // what open_clip calls the weights of the architecture, or ""
	act        string // activation of pictures; in families clip and siglip of texts, too
	preprocess Preprocess
	licence    string
	files      []File
	quality    float64 // per cent of zeroShot, 0 if not stated
	search     float64 // per cent of coco, or of muge in family cnclip
	languages  float64 // per cent of crossmodal, or of cvqa with xlmvWords
}

// The benchmarks of the figures in towerPreset.
const (
	zeroShot   = "ImageNet, zero-shot top-1"
	coco       = "COCO, picture for a caption, recall at 1"
	crossmodal = "Crossmodal-3600, mean of 36 languages, picture for a caption, recall at 1"
	cvqa       = "CVQA-LOCAL, zero-shot accuracy"
	muge       = "MUGE, picture for a caption in Chinese, zero-shot recall at 1"
)

// open returns the files of a repository for open_clip, which has one of them or both. The arguments are their sizes in bytes, 0 if
// no source states them.
func open(safetensors, bin int64) []File {
	return []File{{Name: "open_clip_model.safetensors", Bytes: safetensors, DType: "float32"}, {Name: "open_clip_pytorch_model.bin", Bytes: bin, DType: "float32"}}
}

// face returns the file of a repository for transformers. bytes is its size, 0 if no source states it.
func face(bytes int64) []File {
	return []File{{Name: "model.safetensors", Bytes: bytes, DType: "float32"}}
}

// shards is the file of a repository for transformers that lists model-00001-of-00002.safetensors and the others.
var shards = []File{{Name: "model.safetensors.index.json", DType: "float32"}}

// with returns files, which are on the model hub, and the file called name of the release page.
func with(files []File, name string) []File {
	return append(files, File{Name: name, Linked: true})
}

const (
	openCLIPResults = "mlfoundations/open_clip, docs/openclip_results.csv, docs/openclip_retrieval_results.csv, docs/openclip_multilingual_retrieval_results.csv"
	appleOwn        = "Apple's own: LICENSE in the repository"
)

// The tokenizers of released models with a vision and a text tower.
var (
	clipWords    = Words{"CLIP", "tokenizer.json, merges.txt or bpe_simple_vocab_16e6.txt.gz", "English"}
	xlmvWords    = Words{"Unigram", "the SentencePiece model of facebook/xlm-v-base", "many"}
	bertWords    = Words{"WordPiece", "vocab.txt of bert-base-uncased", "English"}
	siglipWords  = Words{"SigLIP", "spiece.model", "English"}
	gemmaWords   = Words{"SigLIP", "tokenizer.model, of Gemma", "many"}
	chineseWords = Words{"WordPiece", "vocab.txt of the repository", "Chinese"}
	xlmrWords    = Words{"Unigram", "the SentencePiece model of xlm-roberta-base", "many"}
)

// towerReleases are the released models with a vision and a text tower: OpenAI's CLIP, the models that open_clip lists, and
// Chinese-CLIP. Architectures, tags, activations, preprocessing and names on the hub are those of open_clip's pretrained.py
// and Chinese-CLIP's utils.py; names of files are also from OpenAI's clip.py. Sizes of files are those that programs check
// after they have fetched the files; that of G14_fullcc2.5b.pt is from the README of such a program. Files on the hub are taken
// to be in float32, which every stated size confirms; MetaCLIP 2's are left out, of which none is stated. Licences are those
// that the hub's pages, the models' repositories and open_clip's PRETRAINED.md state.
var towerReleases = []struct {
	page   string // release page on GitHub, or ""
	source string // publication that states the figures
	words  Words
	rows   []towerPreset
}{
	{page: "openai/CLIP", source: openCLIPResults, words: clipWords, rows: []towerPreset{ // OpenAI's CLIP
		{"openai/clip-vit-base-patch32", "ViT-B-32", "openai", "quick_gelu", cropFace, "MIT", []File{{Name: "model.safetensors", Bytes: 605157884, DType: "float32"}, {Name: "ViT-B-32.pt", Bytes: 353976522, DType: "float16", Linked: true}}, 63.32, 30.44, 0},
		{"openai/clip-vit-base-patch16", "ViT-B-16", "openai", "quick_gelu", cropFace, "MIT", []File{{Name: "pytorch_model.bin", Bytes: 598641023, DType: "float32"}, {Name: "ViT-B-16.pt", Bytes: 350837078, DType: "float16", Linked: true}}, 68.34, 33.09, 0},
		{"openai/clip-vit-large-patch14", "ViT-L-14", "openai", "quick_gelu", cropFace, "MIT", []File{{Name: "model.safetensors", Bytes: 1710540580, DType: "float32"}, {Name: "ViT-L-14.pt", Bytes: 932768134, DType: "float16", Linked: true}}, 75.54, 36.51, 0},
		{"openai/clip-vit-large-patch14-336", "ViT-L-14-336", "openai", "quick_gelu", cropFace, "MIT", []File{{Name: "pytorch_model.bin", Bytes: 1711974081, DType: "float32"}, {Name: "ViT-L-14-336px.pt", Bytes: 934088680, DType: "float16", Linked: true}}, 76.56, 37.09, 0},
	}},
	{page: "mlfoundations/open_clip", source: openCLIPResults, words: clipWords, rows: []towerPreset{ // LAION's models
		{"laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "ViT-B-32", "laion2b_s34b_b79k", "gelu", cropOpen, "MIT", open(605143316, 605219813), 66.56, 39.34, 0},
		{"timm/vit_base_patch32_clip_224.laion2b_e16", "ViT-B-32", "laion2b_e16", "gelu", cropOpen, "", with(open(0, 0), "vit_b_32-laion2b_e16-af8dbd0c.pth"), 65.65, 39.13, 0},
		{"timm/vit_base_patch32_clip_224.laion400m_e31", "ViT-B-32", "laion400m_e31", "quick_gelu", cropOpen, "", with(open(0, 0), "vit_b_32-quickgelu-laion400m_e31-d867053b.pt"), 62.94, 35.35, 0},
		{"timm/vit_base_patch32_clip_224.laion400m_e32", "ViT-B-32", "laion400m_e32", "quick_gelu", cropOpen, "", with(open(0, 0), "vit_b_32-quickgelu-laion400m_e32-46683a32.pt"), 62.93, 35.33, 0},
		{"laion/CLIP-ViT-B-16-laion2B-s34B-b88K", "ViT-B-16", "laion2b_s34b_b88k", "gelu", cropOpen, "MIT", open(0, 0), 70.23, 42.31, 0},
		{"timm/vit_base_patch16_clip_224.laion400m_e31", "ViT-B-16", "laion400m_e31", "gelu", cropOpen, "", with(open(0, 0), "vit_b_16-laion400m_e31-00efa78f.pt"), 66.98, 38.34, 0},
		{"timm/vit_base_patch16_clip_224.laion400m_e32", "ViT-B-16", "laion400m_e32", "gelu", cropOpen, "", with(open(0, 0), "vit_b_16-laion400m_e32-55e67d44.pt"), 67.05, 38.35, 0},
		{"timm/vit_base_patch16_plus_clip_240.laion400m_e31", "ViT-B-16-plus-240", "laion400m_e31", "gelu", cropOpen, "", with(open(0, 0), "vit_b_16_plus_240-laion400m_e31-8fb26589.pt"), 69.04, 40.75, 0},
		{"/vit_base_patch16_plus_clip_240.laion400m_e32", "ViT-B-16-plus-240", "laion400m_e32", "gelu", cropOpen, "", []File{{Name: "vit_b_16_plus_240-laion400m_e32-699c4b84.pt", Linked: true}}, 69.19, 41, 0},
		{"laion/CLIP-ViT-L-14-laion2B-s32B-b82K", "ViT-L-14", "laion2b_s32b_b82k", "gelu", cropHalf, "MIT", open(1710517748, 0), 75.25, 46.51, 0},
		{"timm/vit_large_patch14_clip_224.laion400m_e31", "ViT-L-14", "laion400m_e31", "gelu", cropOpen, "", with(open(0, 0), "vit_l_14-laion400m_e31-69988bb6.pt"), 72.71, 42.84, 0},
		{"timm/vit_large_patch14_clip_224.laion400m_e32", "ViT-L-14", "laion400m_e32", "gelu", cropOpen, "", with(open(0, 0), "vit_l_14-laion400m_e32-3d133497.pt"), 72.77, 43, 0},
		{"laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "ViT-H-14", "laion2b_s32b_b79k", "gelu", cropOpen, "", open(3944517836, 3944692325), 77.96, 49.48, 0},
		{"laion/CLIP-ViT-g-14-laion2B-s12B-b42K", "ViT-g-14", "laion2b_s12b_b42k", "gelu", cropOpen, "", open(0, 0), 76.63, 48.02, 0},
		{"laion/CLIP-ViT-g-14-laion2B-s34B-b88K", "ViT-g-14", "laion2b_s34b_b88k", "gelu", cropOpen, "", open(0, 0), 78.47, 48.78, 0},
		{"laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", "ViT-bigG-14", "laion2b_s39b_b160k", "gelu", cropOpen, "MIT", open(0, 0), 80.09, 51.37, 0},
	}},
	{source: openCLIPResults, words: clipWords, rows: []towerPreset{ // DataComp's
		{"laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", "ViT-B-32", "datacomp_xl_s13b_b90k", "gelu", cropOpen, "", open(0, 0), 69.17, 37.14, 0},
		{"laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", "ViT-B-32-256", "datacomp_s34b_b86k", "gelu", cropOpen, "", open(0, 0), 72.81, 39.93, 0},
		{"laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", "ViT-B-16", "datacomp_xl_s13b_b90k", "gelu", cropOpen, "", open(0, 0), 73.49, 40.16, 0},
		{"laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", "ViT-L-14", "datacomp_xl_s13b_b90k", "gelu", cropOpen, "", open(0, 0), 79.21, 45.73, 0},
	}},
	{source: openCLIPResults, words: clipWords, rows: []towerPreset{ // Data Filtering Networks'
		{"apple/DFN2B-CLIP-ViT-B-16", "ViT-B-16", "dfn2b", "quick_gelu", cropOpen, appleOwn, open(0, 0), 76.24, 43.39, 0},
		{"apple/DFN2B-CLIP-ViT-L-14", "ViT-L-14", "dfn2b", "quick_gelu", cropOpen, appleOwn, open(0, 0), 81.41, 48.56, 0},
		{"apple/DFN5B-CLIP-ViT-H-14", "ViT-H-14", "dfn5b", "quick_gelu", squash, appleOwn, open(0, 0), 83.44, 53.91, 0},
		{"apple/DFN5B-CLIP-ViT-H-14-378", "ViT-H-14-378", "dfn5b", "quick_gelu", squash, "Apple Sample Code License", []File{open(0, 0)[1]}, 84.37, 55.64, 0},
	}},
	{source: "apple/DFN2B-CLIP-ViT-L-14-39B, README.md", words: clipWords, rows: []towerPreset{
		{"apple/DFN2B-CLIP-ViT-L-14-39B", "ViT-L-14", "dfn2b_s39b", "gelu", cropOpen, "Apple Sample Code License", open(0, 0), 82.19, 0, 0},
	}},
	{page: "facebookresearch/MetaCLIP", source: openCLIPResults, words: clipWords, rows: []towerPreset{ // MetaCLIP 1
		{"facebook/metaclip-b32-400m", "ViT-B-32", "metaclip_400m", "quick_gelu", cropFace, "CC-BY-NC", with([]File{{Name: "pytorch_model.bin", DType: "float32"}}, "b32_400m.pt"), 65.58, 35.91, 0},
		{"facebook/metaclip-b16-400m", "ViT-B-16", "metaclip_400m", "quick_gelu", cropFace, "CC-BY-NC", with(face(0), "b16_400m.pt"), 70.8, 39.97, 0},
		{"facebook/metaclip-l14-400m", "ViT-L-14", "metaclip_400m", "quick_gelu", cropFace, "CC-BY-NC", with(face(0), "l14_400m.pt"), 76.2, 43.81, 0},
		{"facebook/metaclip-b32-fullcc2.5b", "ViT-B-32", "metaclip_fullcc", "quick_gelu", cropFace, "CC-BY-NC", with(face(0), "b32_fullcc2.5b.pt"), 67.66, 38.06, 0},
		{"facebook/metaclip-b16-fullcc2.5b", "ViT-B-16", "metaclip_fullcc", "quick_gelu", cropFace, "CC-BY-NC", with(face(0), "b16_fullcc2.5b.pt"), 72.12, 41.34, 0},
		{"facebook/metaclip-l14-fullcc2.5b", "ViT-L-14", "metaclip_fullcc", "quick_gelu", cropFace, "CC-BY-NC", with(face(0), "l14_fullcc2.5b.pt"), 79.17, 47.09, 0},
		{"facebook/metaclip-h14-fullcc2.5b", "ViT-H-14", "metaclip_fullcc", "quick_gelu", cropFace, "CC-BY-NC", with(face(0), "h14_fullcc2.5b.pt"), 80.51, 48.82, 0},
		{"timm/vit_huge_patch14_clip_224.metaclip_altogether", "ViT-H-14", "metaclip_altogether", "gelu", cropOpen, "CC-BY-NC", with(open(0, 0), "h14_v1.2_altogether.pt"), 0, 0, 0},
	}},
	{page: "facebookresearch/MetaCLIP", source: "facebookresearch/MetaCLIP, README.md", words: clipWords, rows: []towerPreset{
		{"timm/vit_gigantic_patch14_clip_224.metaclip_2pt5b", "ViT-bigG-14", "metaclip_fullcc", "quick_gelu", cropOpen, "CC-BY-NC", append(open(0, 0), File{Name: "G14_fullcc2.5b.pt", Bytes: 28.38e9, Rounded: true, Linked: true}), 82.1, 0, 0},
	}},
	{page: "facebookresearch/MetaCLIP", source: "facebookresearch/MetaCLIP, README.md", words: xlmvWords, rows: []towerPreset{ // MetaCLIP 2
		{"facebook/metaclip-2-worldwide-huge-quickgelu", "ViT-H-14-worldwide", "metaclip2_worldwide", "quick_gelu", cropFace, "CC-BY-NC", []File{{Name: "model.safetensors"}}, 0, 0, 57.4},
		{"facebook/metaclip-2-worldwide-huge-378", "ViT-H-14-worldwide-378", "metaclip2_worldwide", "gelu", squash, "CC-BY-NC", []File{{Name: "model.safetensors"}}, 0, 0, 58.2},
		{"facebook/metaclip-2-worldwide-giant", "ViT-bigG-14-worldwide", "metaclip2_worldwide", "gelu", cropFace, "CC-BY-NC", []File{{Name: "model.safetensors"}}, 0, 0, 60.7},
		{"facebook/metaclip-2-worldwide-giant-378", "ViT-bigG-14-worldwide-378", "metaclip2_worldwide", "gelu", squash, "CC-BY-NC", []File{{Name: "model.safetensors"}}, 0, 0, 62},
	}},
	{page: "UCSC-VLAA/CLIPA", source: openCLIPResults, words: bertWords, rows: []towerPreset{ // CLIPA
		{"UCSC-VLAA/ViT-L-14-CLIPA-datacomp1B", "ViT-L-14-CLIPA", "datacomp1b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 79.57, 46.95, 0},
		{"UCSC-VLAA/ViT-L-14-CLIPA-336-datacomp1B", "ViT-L-14-CLIPA-336", "datacomp1b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 80.26, 47.15, 0},
		{"UCSC-VLAA/ViT-H-14-CLIPA-datacomp1B", "ViT-H-14-CLIPA", "datacomp1b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 81.52, 49.1, 0},
		{"UCSC-VLAA/ViT-H-14-CLIPA-336-laion2B", "ViT-H-14-CLIPA-336", "laion2b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 79.1, 50.13, 0},
		{"UCSC-VLAA/ViT-H-14-CLIPA-336-datacomp1B", "ViT-H-14-CLIPA-336", "datacomp1b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 81.8, 49.28, 0},
		{"UCSC-VLAA/ViT-bigG-14-CLIPA-datacomp1B", "ViT-bigG-14-CLIPA", "datacomp1b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 82.7, 49.96, 0},
		{"UCSC-VLAA/ViT-bigG-14-CLIPA-336-datacomp1B", "ViT-bigG-14-CLIPA-336", "datacomp1b", "gelu", squashImageNet, "Apache-2.0", open(0, 0), 83.09, 50.42, 0},
	}},
	{page: "google-research/big_vision", source: openCLIPResults, words: siglipWords, rows: []towerPreset{ // SigLIP 1
		{"google/siglip-base-patch16-224", "ViT-B-16-SigLIP", "webli", "gelu_tanh", half, "Apache-2.0", face(812672320), 76.04, 47.78, 0},
		{"google/siglip-base-patch16-256", "ViT-B-16-SigLIP-256", "webli", "gelu_tanh", half, "Apache-2.0", face(812856640), 76.53, 48.34, 0},
		{"google/siglip-base-patch16-384", "ViT-B-16-SigLIP-384", "webli", "gelu_tanh", half, "Apache-2.0", face(0), 78.49, 49.9, 0},
		{"google/siglip-base-patch16-512", "ViT-B-16-SigLIP-512", "webli", "gelu_tanh", half, "Apache-2.0", face(0), 79.14, 50.55, 0},
		{"google/siglip-base-patch16-256-multilingual", "ViT-B-16-SigLIP-i18n-256", "webli", "gelu_tanh", half, "Apache-2.0", face(0), 75.13, 44.92, 44.07},
		{"google/siglip-large-patch16-256", "ViT-L-16-SigLIP-256", "webli", "gelu_tanh", half, "Apache-2.0", face(0), 80.45, 52.28, 0},
		{"google/siglip-large-patch16-384", "ViT-L-16-SigLIP-384", "webli", "gelu_tanh", half, "Apache-2.0", face(0), 82.07, 53.91, 0},
		{"google/siglip-so400m-patch14-224", "ViT-SO400M-14-SigLIP", "webli", "gelu_tanh", half, "Apache-2.0", face(0), 82.03, 51.76, 0},
		{"google/siglip-so400m-patch14-384", "ViT-SO400M-14-SigLIP-384", "webli", "gelu_tanh", half, "Apache-2.0", face(3511950624), 83.08, 54.21, 0},
	}},
	{page: "google-research/big_vision", source: "google-research/big_vision, README_siglip2.md", words: gemmaWords, rows: []towerPreset{ // SigLIP 2
		{"google/siglip2-base-patch32-256", "ViT-B-32-SigLIP2-256", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(1507473288), 74, 47.2, 0},
		{"google/siglip2-base-patch16-224", "ViT-B-16-SigLIP2", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(1500800904), 78.2, 52.1, 0},
		{"google/siglip2-base-patch16-256", "ViT-B-16-SigLIP2-256", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(1500985224), 79.1, 53.2, 0},
		{"google/siglip2-base-patch16-384", "ViT-B-16-SigLIP2-384", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(1501968264), 80.6, 54.6, 0},
		{"google/siglip2-base-patch16-512", "ViT-B-16-SigLIP2-512", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(0), 81.2, 55.2, 0},
		{"google/siglip2-large-patch16-256", "ViT-L-16-SigLIP2-256", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(3526204360), 82.5, 54.7, 0},
		{"google/siglip2-large-patch16-384", "ViT-L-16-SigLIP2-384", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(0), 83.1, 55.3, 0},
		{"google/siglip2-large-patch16-512", "ViT-L-16-SigLIP2-512", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(0), 83.5, 55.2, 0},
		{"google/siglip2-so400m-patch14-224", "ViT-SO400M-14-SigLIP2", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(0), 83.2, 55.1, 0},
		{"google/siglip2-so400m-patch14-384", "ViT-SO400M-14-SigLIP2-378", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(4544143072), 84.1, 55.8, 0},
		{"google/siglip2-so400m-patch16-256", "ViT-SO400M-16-SigLIP2-256", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(4542792928), 83.4, 55.4, 0},
		{"google/siglip2-so400m-patch16-384", "ViT-SO400M-16-SigLIP2-384", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(0), 84.1, 56, 0},
		{"google/siglip2-so400m-patch16-512", "ViT-SO400M-16-SigLIP2-512", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", face(4546331880), 84.3, 56, 0},
		{"google/siglip2-giant-opt-patch16-256", "ViT-gopt-16-SigLIP2-256", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", shards, 84.5, 55.7, 0},
		{"google/siglip2-giant-opt-patch16-384", "ViT-gopt-16-SigLIP2-384", "webli", "gelu_tanh", halfBilinear, "Apache-2.0", shards, 85, 56.1, 0},
	}},
	{page: "OFA-Sys/Chinese-CLIP", source: "OFA-Sys/Chinese-CLIP, Results.md", words: chineseWords, rows: []towerPreset{ // Chinese-CLIP
		{"OFA-Sys/chinese-clip-vit-base-patch16", "ViT-B-16@RoBERTa-wwm-ext-base-chinese", "", "quick_gelu", squash, "MIT", []File{{Name: "pytorch_model.bin", DType: "float32"}, {Name: "clip_cn_vit-b-16.pt", DType: "float32"}}, 0, 52.1, 0},
		{"OFA-Sys/chinese-clip-vit-large-patch14", "ViT-L-14@RoBERTa-wwm-ext-base-chinese", "", "quick_gelu", squash, "MIT", []File{{Name: "pytorch_model.bin", DType: "float32"}, {Name: "clip_cn_vit-l-14.pt", DType: "float32"}}, 0, 56.3, 0},
		{"OFA-Sys/chinese-clip-vit-large-patch14-336px", "ViT-L-14-336@RoBERTa-wwm-ext-base-chinese", "", "quick_gelu", squash, "MIT", []File{{Name: "pytorch_model.bin", DType: "float32"}, {Name: "clip_cn_vit-l-14-336.pt", DType: "float32"}}, 0, 59, 0},
		{"OFA-Sys/chinese-clip-vit-huge-patch14", "ViT-H-14@RoBERTa-wwm-ext-large-chinese", "", "quick_gelu", squash, "MIT", []File{{Name: "pytorch_model.bin", DType: "float32"}, {Name: "clip_cn_vit-h-14.pt", DType: "float32"}}, 0, 63, 0},
	}},
	{page: "mlfoundations/open_clip", source: openCLIPResults, words: xlmrWords, rows: []towerPreset{ // XLM-R CLIP
		{"laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k", "xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k", "gelu", cropOpen, "MIT", open(0, 0), 62.36, 37.78, 42.56},
		{"laion/CLIP-ViT-H-14-frozen-xlm-roberta-large-laion5B-s13B-b90k", "xlm-roberta-large-ViT-H-14", "frozen_laion5b_s13b_b90k", "gelu", cropOpen, "MIT", open(0, 0), 76.95, 49.21, 50.22},
	}},
}

// presetName is the name of a preset: that of its repository on the model hub without the owner, in lower case and with - for _
// and for a dot.
func presetName(hub string) string {
	_, name, _ := strings.Cut(hub, "/")
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}

// towerPresets are the presets of models with two towers.
func towerPresets() []PresetInfo {
	var all []PresetInfo
	for _, r := range towerReleases {
		for _, x := range r.rows {
			a := architectures[x.arch]
			p := PresetInfo{
				Name: presetName(x.hub), Family: a.family, Sizes: a.sizes, Task: "retrieval", Preprocess: x.preprocess, Words: r.words,
				Source: Source{Hub: x.hub, Page: r.page, Files: x.files, Licence: x.licence},
			}
			p.Sizes.Act, p.Sizes.Text.Act = x.act, x.act
			search, languages := coco, crossmodal
			if r.words == xlmvWords {
				languages = cvqa
			}
			if a.family == "cnclip" {
				p.Sizes.Text.Act, search = familyNamed(a.family).text, muge
			}
			if strings.HasPrefix(x.hub, "/") {
				p.Source.Hub = ""
			}
			if x.tag != "" {
				p.Source.OpenCLIP = x.arch + " " + x.tag
			}
			if strings.Contains(x.arch, "i18n") {
				p.Words.Languages = "many"
			}
			for _, s := range []Result{{zeroShot, x.quality}, {search, x.search}, {languages, x.languages}} {
				if s.Value != 0 {
					p.Source.Results = append(p.Source.Results, s)
				}
			}
			if p.Source.Results != nil {
				p.Source.Cited = r.source
			}
			all = append(all, p)
		}
	}
	return all
}
