package caribou;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.constraint.MaxNormConstraint;
import org.deeplearning4j.nn.conf.constraint.NonNegativeConstraint;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.PoolHelperVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.AutoEncoder;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.CenterLossOutputLayer;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.GravesBidirectionalLSTM;
import org.deeplearning4j.nn.conf.layers.GravesLSTM;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.conf.layers.SelfAttentionLayer;
import org.deeplearning4j.nn.conf.layers.SpaceToDepthLayer;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayerWithBackprop;
import org.deeplearning4j.nn.conf.layers.recurrent.Bidirectional;
import org.deeplearning4j.nn.conf.layers.recurrent.LastTimeStep;
import org.deeplearning4j.nn.conf.layers.recurrent.SimpleRnn;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/** Small networks of stock DL4J by name, and data for them. */
final class Samples {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int CLASSES = 3;
    private static final int EXAMPLES = 8;
    private static final int STEPS = 5;
    private static final int WORDS = 7;

    private Samples() {}

    private static IUpdater updater(JsonNode json) throws IOException {
        return JSON.readValue(json.toString(), IUpdater.class);
    }

    private static NeuralNetConfiguration.Builder base(JsonNode options) throws IOException {
        NeuralNetConfiguration.Builder builder = new NeuralNetConfiguration.Builder().seed(7).dataType(DataType.FLOAT);
        if (options.has("updater")) {
            builder.updater(updater(options.get("updater")));
        }
        if (options.has("bias_updater")) {
            builder.biasUpdater(updater(options.get("bias_updater")));
        }
        if (options.has("l2")) {
            builder.l2(options.get("l2").asDouble());
        }
        if (options.has("l1_bias")) {
            builder.l1Bias(options.get("l1_bias").asDouble());
        }
        if (options.has("weight_decay")) {
            builder.weightDecay(options.get("weight_decay").asDouble());
        }
        if (options.has("gradients")) {
            builder.gradientNormalization(GradientNormalization.valueOf(options.get("gradients").asText()));
            builder.gradientNormalizationThreshold(options.path("threshold").asDouble(1.0));
        }
        if (options.has("max_norm")) {
            builder.constrainWeights(new MaxNormConstraint(options.get("max_norm").asDouble(), 0));
        }
        if (options.path("non_negative").asBoolean(false)) {
            builder.constrainBias(new NonNegativeConstraint());
        }
        return builder;
    }

    /** A dense layer, with an optimiser and a dropout of its own where the options say so. */
    private static DenseLayer dense(int in, int out, JsonNode options) throws IOException {
        DenseLayer.Builder builder = new DenseLayer.Builder().nIn(in).nOut(out).activation(Activation.TANH);
        if (options.has("dense_updater")) {
            builder.updater(updater(options.get("dense_updater")));
        }
        if (options.has("dropout")) {
            builder.dropOut(options.get("dropout").asDouble());
        }
        if (options.has("dropout_schedule")) {
            builder.dropOut(new Dropout(JSON.readValue(options.get("dropout_schedule").toString(), ISchedule.class)));
        }
        return builder.build();
    }

    private static OutputLayer output(int in) {
        return new OutputLayer.Builder(LossFunction.MCXENT).nIn(in).nOut(CLASSES).activation(Activation.SOFTMAX).build();
    }

    /** An output layer whose loss weighs classes where the options say so. */
    private static OutputLayer weighted(int in, JsonNode options) {
        if (!options.has("class_weights")) {
            return output(in);
        }
        double[] weights = new double[CLASSES];
        for (int i = 0; i < CLASSES; i++) {
            weights[i] = options.get("class_weights").get(i).asDouble();
        }
        INDArray row = Nd4j.createFromArray(weights).castTo(DataType.FLOAT);
        return new OutputLayer.Builder(new LossMCXENT(row)).nIn(in).nOut(CLASSES).activation(Activation.SOFTMAX).build();
    }

    private static RnnOutputLayer steps(int in) {
        return new RnnOutputLayer.Builder(LossFunction.MCXENT).nIn(in).nOut(CLASSES).activation(Activation.SOFTMAX).build();
    }

    private static ConvolutionLayer convolution(int out) {
        return new ConvolutionLayer.Builder(3, 3).nOut(out).activation(Activation.RELU).build();
    }

    /** The network called {@code name}, initialised. */
    static Model network(String name, JsonNode options) throws IOException {
        if (name.equals("graph")) {
            ComputationGraphConfiguration.GraphBuilder builder = base(options)
                    .graphBuilder()
                    .addInputs("in")
                    .addLayer("left", dense(6, 5, options), "in")
                    .addLayer("right", new DenseLayer.Builder().nIn(6).nOut(5).activation(Activation.RELU).build(), "in")
                    .addVertex("sum", new ElementWiseVertex(ElementWiseVertex.Op.Add), "left", "right")
                    .addLayer("out", output(5), "sum")
                    .setOutputs("out");
            ComputationGraph graph = new ComputationGraph(builder.build());
            graph.init();
            return graph;
        }
        if (name.equals("pool_helper")) {
            ComputationGraphConfiguration.GraphBuilder builder = base(options)
                    .graphBuilder()
                    .addInputs("in")
                    .addLayer("filters", convolution(2), "in")
                    .addVertex("rest", new PoolHelperVertex(), "filters")
                    .addLayer("out", new CnnLossLayer.Builder(LossFunction.MSE).activation(Activation.TANH).build(), "rest")
                    .setInputTypes(InputType.convolutional(6, 6, 1))
                    .setOutputs("out");
            ComputationGraph graph = new ComputationGraph(builder.build());
            graph.init();
            return graph;
        }
        List<Layer> layers = new ArrayList<>();
        InputType type = InputType.feedForward(6);
        switch (name) {
            case "dense" -> layers.addAll(List.of(dense(6, 5, options), weighted(5, options)));
            case "frozen" -> layers.addAll(List.of(new FrozenLayer(dense(6, 5, options)), dense(5, 4, options), output(4)));
            case "frozen_with_backprop" -> layers.addAll(
                    List.of(dense(6, 5, options), new FrozenLayerWithBackprop(dense(5, 4, options)), output(4)));
            case "convolution" -> {
                type = InputType.convolutional(6, 6, 1);
                layers.addAll(List.of(convolution(4), new BatchNormalization.Builder().useLogStd(false).build(),
                        new SubsamplingLayer.Builder(SubsamplingLayer.PoolingType.MAX).kernelSize(2, 2).stride(2, 2).build(),
                        dense(16, 5, options), output(5)));
            }
            case "normalized" -> {
                type = InputType.convolutional(6, 6, 1);
                layers.addAll(List.of(
                        new ConvolutionLayer.Builder(3, 3).nOut(2).activation(Activation.IDENTITY).build(),
                        new BatchNormalization.Builder().useLogStd(false).build(), dense(32, 3, options), output(3)));
            }
            case "images" -> {
                type = InputType.convolutional(6, 6, 1);
                layers.addAll(List.of(convolution(4),
                        new ConvolutionLayer.Builder(1, 1).nOut(CLASSES).activation(Activation.IDENTITY).build(),
                        new CnnLossLayer.Builder(LossFunction.MCXENT).activation(Activation.SOFTMAX).build()));
            }
            case "lstm" -> {
                type = InputType.recurrent(4);
                layers.addAll(List.of(new LSTM.Builder().nIn(4).nOut(5).activation(Activation.TANH).build(), steps(5)));
            }
            case "graves_lstm" -> {
                type = InputType.recurrent(4);
                layers.addAll(List.of(new GravesLSTM.Builder().nIn(4).nOut(5).activation(Activation.TANH).build(), steps(5)));
            }
            case "bidirectional" -> {
                type = InputType.recurrent(4);
                layers.addAll(List.of(
                        new Bidirectional(new LSTM.Builder().nIn(4).nOut(3).activation(Activation.TANH).build()),
                        new LastTimeStep(new SimpleRnn.Builder().nIn(6).nOut(5).activation(Activation.TANH).build()),
                        output(5)));
            }
            case "centre_loss" -> layers.addAll(List.of(dense(6, 5, options),
                    new CenterLossOutputLayer.Builder(LossFunction.MCXENT).nIn(5).nOut(CLASSES).activation(Activation.SOFTMAX).build()));
            case "autoencoder" -> layers.addAll(List.of(
                    new AutoEncoder.Builder().nIn(6).nOut(5).activation(Activation.SIGMOID).build(), output(5)));
            case "layer_norm" -> layers.addAll(List.of(
                    new DenseLayer.Builder().nIn(6).nOut(5).hasLayerNorm(true).activation(Activation.TANH).build(), output(5)));
            case "graves_bidirectional" -> {
                type = InputType.recurrent(4);
                layers.addAll(List.of(
                        new GravesBidirectionalLSTM.Builder().nIn(4).nOut(3).activation(Activation.TANH).build(), steps(3)));
            }
            case "space_to_depth" -> {
                type = InputType.convolutional(6, 6, 1);
                layers.addAll(List.of(new SpaceToDepthLayer.Builder(2).build(), convolution(2), output(2)));
            }
            case "self_attention" -> {
                type = InputType.recurrent(4);
                layers.addAll(List.of(
                        new SelfAttentionLayer.Builder().nIn(4).nOut(5).nHeads(2).headSize(3).projectInput(true).build(),
                        steps(5)));
            }
            case "norm_pooling" -> {
                type = InputType.convolutional(6, 6, 1);
                layers.addAll(List.of(convolution(2),
                        new SubsamplingLayer.Builder(SubsamplingLayer.PoolingType.PNORM).pnorm(3).kernelSize(2, 2).stride(1, 1)
                                .build(),
                        new GlobalPoolingLayer.Builder(PoolingType.PNORM).pnorm(2).build(), output(2)));
            }
            case "image_as_step" -> {
                type = InputType.convolutional(6, 6, 1);
                layers.addAll(List.of(convolution(2),
                        new SimpleRnn.Builder().nIn(32).nOut(5).activation(Activation.TANH).build(), steps(5)));
            }
            case "embedding" -> {
                type = null;
                layers.addAll(List.of(new EmbeddingLayer.Builder().nIn(WORDS).nOut(4)
                        .hasBias(options.path("bias").asBoolean(true)).activation(Activation.TANH).build(), output(4)));
            }
            case "embedding_sequence" -> {
                type = InputType.recurrent(WORDS, STEPS);
                layers.addAll(List.of(new EmbeddingSequenceLayer.Builder().nIn(WORDS).nOut(4).inputLength(STEPS)
                        .hasBias(options.path("bias").asBoolean(true)).activation(Activation.TANH).build(),
                        new GlobalPoolingLayer(), output(4)));
            }
            default -> throw new IllegalArgumentException("no network is called " + name);
        }
        NeuralNetConfiguration.ListBuilder list = base(options).list();
        layers.forEach(list::layer);
        if (type != null && !name.equals("embedding_sequence")) {
            list.setInputType(type);
        }
        MultiLayerNetwork network = new MultiLayerNetwork(list.build());
        network.init();
        return network;
    }

    /** Inputs for the network called {@code name}. */
    static INDArray input(String name, Random random) {
        return switch (name) {
            case "convolution", "normalized", "images", "space_to_depth", "pool_helper", "norm_pooling", "image_as_step" -> numbers(random, EXAMPLES, 1, 6, 6);
            case "lstm", "graves_lstm", "graves_bidirectional", "bidirectional", "self_attention" -> numbers(random, EXAMPLES, 4, STEPS);
            case "embedding" -> indices(random, EXAMPLES, 1);
            case "embedding_sequence" -> indices(random, EXAMPLES, STEPS);
            default -> numbers(random, EXAMPLES, 6);
        };
    }

    /** One-hot labels of the shape of an output, whose axis 1 counts classes. */
    static INDArray labels(long[] shape, Random random) {
        INDArray labels = Nd4j.zeros(DataType.FLOAT, shape);
        long[] cells = shape.clone();
        cells[1] = 1;
        long count = Arrays.stream(cells).reduce(1, (a, b) -> a * b);
        for (long i = 0; i < count; i++) {
            long[] at = new long[shape.length];
            long rest = i;
            for (int axis = shape.length - 1; axis >= 0; axis--) {
                at[axis] = rest % cells[axis];
                rest /= cells[axis];
            }
            at[1] = random.nextInt((int) shape[1]);
            labels.putScalar(at, 1.0);
        }
        return labels;
    }

    private static INDArray numbers(Random random, long... shape) {
        float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (Math.round(random.nextGaussian() * 256) / 256.0);
        }
        return Nd4j.create(values, shape, 'c');
    }

    private static INDArray indices(Random random, long... shape) {
        float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextInt(WORDS);
        }
        return Nd4j.create(values, shape, 'c');
    }
}
