/**
 * @file A specimen of the bytes that structures are made of: operators, attributes, names and declarations as
 * PyTorch and Espalier write them. Coding begins as if it had come before, so that packs of small
 * networks need not spell it out. It is part of the format: another one is another version.
 *
 * Made by hand: nodes for Conv, Relu, MaxPool, BatchNormalization, GlobalAveragePool, Flatten and Gemm
 * with their usual attributes, two initialisers, an input, an output and the frame of a model.
 */

/** What stands for the bytes 0 to 31, and for 160, in `text`. */
const key = "!#$&()+,-345689;<=DEHIKLOQSTUVWXY";

const text =
  '--D,pytorchS4)input46conv1.weight44conv1.biasD)conv1S)conv1"(Conv*D43dilation' +
  "s@#@#Y#,*64)groupO#Y#$*I46kernel_shape@)@)Y#,*=4(pads@#@#@#@#Y#,*<4,strides@#@#Y#,4%" +
  '4)conv1D4conv1.reluS4conv1.relu"(Relu49onnx::Conv_DH/layer1/conv1/Conv_output_0/Relu' +
  '_output_0",MaxPool*I46kernel_shape@$@$Y#,*<4,strides@$@$Y#,"DBatchNormalization*=4,e' +
  'psilonIY##*D4-momentumIfff?Y##.running_mean.running_var&Add"=GlobalAveragePoolD,flat' +
  'tenS,flatten",Flatten*54(axisO#Y#$4>4,flatten44fc1.weight4-fc1.biasD&fc1S&fc1"(Gemm*' +
  "84+transBO#Y#$D+logitsD4main_graph*p-H-#-)" +
  "-)<#B6conv1.weightJ*b-H<#B4conv1.biasJPZ 4)inputDL4I-#D=4&D#N4$-#4$-U4$-UbQ4+outputD" +
  ";48-#D34&D#N4$-4B$<=-4D-espalierB$<I:";

/** The bytes of the specimen. */
export const specimen = Uint8Array.from(text, (char) => {
  const byte = key.indexOf(char);
  return byte < 0 ? char.charCodeAt(0) : byte < 32 ? byte : 160;
});
