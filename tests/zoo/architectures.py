"""The zoo: every architecture that a reader of papers may bring, each as small as it can be."""

from functools import partial

from torch import nn

from zoo import attention, contacts, convolutional, operations, profiles, recurrent, regulatory, splicing
from zoo.entry import Entry
from zoo.tokens import LANGUAGE

ZOO = (
    Entry("deepbind", convolutional.DeepBind, 48, "0", "Alipanahi et al. 2015", piecewise_linear=True),
    Entry("deepsea", convolutional.DeepSEA, 128, "1", "Zhou and Troyanskaya 2015"),
    Entry("basset", convolutional.Basset, 96, "2-0", "Kelley et al. 2016", piecewise_linear=True),
    Entry(
        "deepstarr", convolutional.DeepSTARR, 64, "output0 output1", "de Almeida et al. 2022",
        piecewise_linear=True,
    ),
    Entry("exponential", convolutional.Exponential, 64, "0", "Koo and Ploenzke 2021"),
    Entry("vgg", convolutional.VGG, 48, "1", "Simonyan and Zisserman 2015", piecewise_linear=True),
    Entry("resnet", convolutional.ResNet, 64, "0", "He et al. 2016", piecewise_linear=True),
    Entry("squeeze-excite", convolutional.SqueezeExcite, 48, "0", "Hu et al. 2018"),
    Entry(
        "both-strands-mean", partial(convolutional.ReverseComplementShared, False), 40, "0",
        "Quang and Xie 2019", piecewise_linear=True,
    ),
    Entry(
        "both-strands-maximum", partial(convolutional.ReverseComplementShared, True), 40, "0",
        "Alipanahi et al. 2015", piecewise_linear=True,
    ),
    Entry(
        "rc-parameters", convolutional.ReverseComplementParameters, 40, "1", "Shrikumar et al. 2017",
        piecewise_linear=True,
    ),
    Entry("decoder", convolutional.Decoder, 48, "1@10:20", "Long et al. 2015", piecewise_linear=True),
    Entry("bpnet", profiles.BPNet, 64, "profile/0@2:9 counts/1", "Avsec et al. 2021", piecewise_linear=True),
    Entry("chrombpnet", profiles.ChromBPNet, 88, "profile/0@16 counts", "Pampari et al. 2024"),
    Entry("spliceai", profiles.SpliceAI, 72, "1@10", "Jaganathan et al. 2019"),
    Entry("basenji", profiles.Basenji, 96, "1@3:6", "Kelley 2020"),
    Entry("sei", profiles.Sei, 64, "2", "Chen et al. 2022"),
    Entry("malinois", regulatory.Malinois, 50, "1 2-0", "Gosai et al. 2024", piecewise_linear=True),
    Entry("mpra-legnet", regulatory.LegNet, 32, "0", "Agarwal et al. 2025"),
    Entry("promoterai", regulatory.PromoterAI, 32, "1@4:9", "Jaganathan et al. 2025", axes="NPT"),
    Entry("beluga", regulatory.Beluga, 62, "1", "Zhou et al. 2018"),
    Entry("puffin", regulatory.Puffin, 40, "1@20", "Dudnyk et al. 2024"),
    Entry(
        "clipnet", regulatory.Clipnet, 61, "output0/2 output1/0", "He and Danko 2024", piecewise_linear=True
    ),
    Entry(
        "procapnet", regulatory.ProCapNet, 48, "output0@profile output1/0", "Cochran et al. 2024",
        piecewise_linear=True,
    ),
    Entry("crested-deeptopic", regulatory.DeepTopic, 64, "2", "Kempynck et al. 2025"),
    Entry("crested-peaks", regulatory.DilatedPeaks, 48, "0", "Kempynck et al. 2025"),
    Entry("grelu-conv-transformer", regulatory.ConvTransformer, 64, "1", "Lal et al. 2025"),
    Entry("decima", regulatory.Decima, 64, "2-0", "Lal et al. 2024"),
    Entry("scbasset", regulatory.ScBasset, 54, "3", "Yuan and Kelley 2022"),
    Entry("saluki", regulatory.Saluki, 64, "0", "Agarwal and Kelley 2022"),
    Entry("pangolin", splicing.Pangolin, 44, "1@10 2@5", "Zeng and Li 2022"),
    Entry("openspliceai", splicing.OpenSpliceAI, 48, "1@8", "Chao et al. 2025"),
    Entry("splicetransformer", splicing.SpliceTransformer, 32, "1@8 4@3", "You et al. 2024"),
    Entry("akita", contacts.Akita, 64, "1@3", "Fudenberg et al. 2020", axes="NPT", piecewise_linear=True),
    Entry(
        "orca", contacts.Orca, 64, "output0@1x3 output1@0:2x3", "Zhou 2022", axes="NPP",
        piecewise_linear=True,
    ),
    Entry("resnet-18", contacts.ResNet18, 144, "1", "He et al. 2016", piecewise_linear=True),
    Entry("u-net", contacts.UNet, 46, "1@20:30", "Ronneberger et al. 2015", piecewise_linear=True),
    Entry("danq", recurrent.DanQ, 64, "1", "Quang and Xie 2016"),
    Entry("gru", recurrent.GRU, 13, "0", "Shen et al. 2018"),
    Entry("lstm-positions-first", recurrent.PositionsFirst, 10, "0", "Hochreiter and Schmidhuber 1997"),
    Entry("rnn-cell", recurrent.Elman, 12, "1", "Elman 1990"),
    Entry("tokens", recurrent.Tokens, 32, "0"),
    Entry("enformer", attention.Enformer, 64, "human/1@2:6", "Avsec et al. 2021", axes="NPT"),
    Entry("borzoi", attention.Borzoi, 64, "2@5:9", "Linder et al. 2025"),
    Entry("transformer-norm-last", partial(attention.Transformer, False), 33, "0", "Ji et al. 2021"),
    Entry("transformer-norm-first", partial(attention.Transformer, True), 33, "1", "Xiong et al. 2020"),
    Entry("attention-kernels", attention.AttentionOverPositions, 32, "0", "Vaswani et al. 2017"),
    Entry("end-none", partial(operations.Ended, nn.Identity()), 32, "0", piecewise_linear=True),
    Entry("end-sigmoid", partial(operations.Ended, nn.Sigmoid()), 32, "0"),
    Entry("end-softmax", partial(operations.Ended, nn.Softmax(dim=1)), 32, "1"),
    Entry("end-log-softmax", partial(operations.Ended, nn.LogSoftmax(dim=-1)), 32, "2"),
    Entry("end-exp", partial(operations.Ended, operations.Exp()), 32, "0"),
    Entry("end-softplus", partial(operations.Ended, nn.Softplus()), 32, "1"),
    Entry("gated", operations.Gated, 48, "0", "Dauphin et al. 2017"),
    Entry("wavenet", operations.WaveNet, 32, "1@20:32", "van den Oord et al. 2016"),
    Entry("highway", operations.Highway, 48, "0", "Srivastava et al. 2015"),
    Entry("experts", operations.Experts, 48, "1", "Jacobs et al. 1991"),
    Entry("group-norm", operations.normalised(nn.GroupNorm, 2, 8), 48, "0", "Wu and He 2018"),
    Entry(
        "instance-norm", operations.normalised(nn.InstanceNorm1d, 8, affine=True), 48, "0",
        "Ulyanov et al. 2016",
    ),
    Entry("layer-norm", operations.normalised(nn.LayerNorm, 8), 48, "0", "Ba et al. 2016"),
    Entry("rms-norm", operations.normalised(nn.RMSNorm, 8), 48, "1", "Zhang and Sennrich 2019"),
    Entry("rms-by-hand", operations.normalised(operations.RMSNorm, 8), 48, "1", "Zhang and Sennrich 2019"),
    Entry("parametrised", operations.Parametrised, 40, "0", "Miyato et al. 2018", piecewise_linear=True),
    Entry("in-place", operations.InPlace, 32, "0"),
    Entry("padding-modes", operations.Padded, 32, "0@3:20", piecewise_linear=True),
    Entry("einsum", operations.Einsum, 32, "0"),
    Entry("cumulative", operations.Cumulative, 32, "1@16:32"),
    Entry("lengths", operations.Lengths, 40, "0", piecewise_linear=True),
    Entry("activations", operations.Activations, 32, "1"),
    # Of the language models one that has all: the others are in test_language_models.py.
    *(model.entry() for model in LANGUAGE if model.name == "esm-of-3-mers"),
)  # fmt: skip
